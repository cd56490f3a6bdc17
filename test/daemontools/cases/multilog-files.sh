l() { (cd $1; for f in *; do stat -c '%n %a %s' $f; done | sed 's/@4.\{23\}/LABEL/'); }
echo one | multilog ./a; l a; echo two | multilog ./a; cat a/current; l a
stat -c %a a; stat -c %a a/lock
# crash: current without the mark
chmod 644 a/current; echo three | multilog ./a; l a; cat a/@*.u; cat a/current
# crash with previous
cp a/current a/previous; chmod 744 a/previous; chmod 644 a/current; echo four | multilog ./a; l a
# crash between link and unlink
rm -rf a; mkdir a; echo p > a/previous; ln a/previous a/@400000000000000000000001.s; : > a/current; echo five | multilog ./a; l a
# processed complete, incomplete
rm -rf a; mkdir a; echo p > a/previous; echo P > a/processed; chmod 744 a/processed; echo s > a/state; echo n > a/newstate; echo six | multilog ./a; l a; cat a/@*.s
rm -rf a; mkdir a; echo p > a/previous; echo P > a/processed; chmod 644 a/processed; echo seven | multilog ./a; l a; cat a/@*.u
# pruning
rm -rf a; mkdir a; for i in 1 2 3 4 5 6 7 8 9; do echo $i > a/@40000000000000000000000$i.s; done; echo x > a/@short; echo x > a/current; echo y | multilog n4 ./a; l a | grep -v LABEL; ls a | wc -l
# rotation
rm -rf a; seq 1 3000 | multilog s4096 n5 ./a; ls a | wc -l; cat a/@* a/current | tail -1; for f in a/@*; do tail -c1 $f | od -An -c; [ $(stat -c %s $f) -le 4096 ] && [ $(stat -c %s $f) -ge 2096 ] && echo fits; stat -c %a $f; done
rm -rf a; seq 1 3000 | multilog s4096 n50 ./a; cat a/@* a/current | cksum; stat -c %s a/@* a/current
rm -rf a; awk 'BEGIN{for(i=0;i<30;i++){s="";while(length(s)<i*211%3000)s=s i "xyz";print s}}' > in; multilog s5000 n50 ./a < in; cat a/@* a/current | cmp - in && stat -c %s a/@* a/current
rm -rf a; multilog s5000 n50 ./a '-*' '+*7*' s4096 ./b < in;  stat -c %s b/* | tr '\n' ' '
