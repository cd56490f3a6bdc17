printf 'a\n\n' | multilog T ./a; sed 's/[0-9]/N/g' a/current; printf 'a\n' | multilog Tu ./b; sed 's/[0-9]/N/g' b/current
seq 1 2000 | multilog s4096 wtxt ./c; ls c | sed 's/@4.\{23\}/LABEL/' | sort -u
seq 1 9000 | multilog s4096 n100 S10000 ./d; [ $(cat d/@* | wc -c) -le 10000 ] && echo bounded; tail -1 d/current
mkfifo p; multilog R1 ./e < p & m=$!; exec 9>p; killed=$m; echo x >&9; try sh -c 'cat e/@* | grep -q x'; stat -c %s e/current; exec 9>&-; wait $m; echo "= $?"
