seq 1 2000 | multilog s4096 n20 '!tr 1 X; echo state $(wc -l <&4) >&5; echo err >&2' ./a 2>err; ls a | sed 's/@4.\{23\}/LABEL/'; cat a/state; sort err | uniq -c | sed 's/^ *//'; cat a/@* | head -3; cat a/@* a/current | tr X 1 | cksum; stat -c '%a' a/@* | sort -u
rm -rf a; seq 1 900 | multilog s4096 '!pwd | sed "s/.*\///"; for f in 4 5; do [ -e /proc/$$/fd/$f ] && echo fd $f; done; umask; trap' ./a; cat a/@* | sort -u
rm -rf a; seq 1 900 | multilog s4096 '!' ./a; stat -c '%s %a' a/@*
# one that fails once, then works
rm -rf a; seq 1 900 | multilog s4096 '!if [ -e ../once ]; then cat; else : > ../once; exit 3; fi' ./a; cat a/@* a/current | cksum; seq 1 900 | cksum
rm -f once; rm -rf a; seq 1 900 | multilog s4096 '!gzip' ./a; for f in a/@*; do gzip -dc < $f; done | cat - a/current | cksum
