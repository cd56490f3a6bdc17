printf 'a\n\nb' | tai64n | sed 's/^@4.\{23\} /LABEL /'; echo .
printf '' | tai64n; echo .
printf 'x\000y\n' | tai64n | od -An -c | sed 's/ //g' | cut -c26-
seq 1 20000 | tai64n | cut -c27- | cksum
seq 1 20000 | tai64n | cut -c1-25 | sort -c && echo sorted
(printf part; sleep 0.2; printf 'ial\nnext\n') | tai64n | cut -c27-
show sh -c 'tai64n < /' ; show sh -c 'echo a | tai64n > /dev/full'
