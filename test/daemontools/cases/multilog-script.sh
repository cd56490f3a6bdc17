m() { printf 'alpha\nbeta\ngamma\n\nalphabet *star\n' | multilog "$@"; }
d() { cat $1/current; echo "--"; rm -rf $1; }
m ./a; d a
m '-*' '+al*' ./a; d a
m '-alpha' ./a; d a
m '-*' '+*bet' ./a '+gamma' ./b; d a; d b
m '-*' '+*t*' ./a; d a
m '-*' '+**star' ./a; d a
m '-*' '+a*a' ./a; d a
m '-*' '+*a' ./a; d a
m '-' ./a; d a
m '-*' '+' ./a; d a
m '-*' '+alpha' '-alpha' '+*a' ./a; d a
m e 2>&1; m '-*' '+beta' e 2>&1
m =st; wc -c < st; head -1 st; m '-*' '+beta' =st; head -1 st; ls -l st | cut -c1-10
m t ./a; sed 's/^@4.\{23\} /LABEL /' a/current; rm -r a
m x t ./a; d a
m ./a t ./b; d a; d b
m t '-*' '+@* beta' e 2>&1 | sed 's/^@4.\{23\}/LABEL/'
m t '-*' '+* beta' e 2>&1 | sed 's/^@4.\{23\}/LABEL/'
m s1 n1 ./a; d a
m "$PWD/abs"; d abs
head -c 3000 /dev/zero | tr '\0' x > long; { cat long; echo; cat long; } > long2
multilog e <long 2>&1 | wc -c; multilog ./a < long2; cmp a/current long2 | cut -c1-40; wc -c < a/current; multilog =st < long; wc -c <st; tr -d x < st | wc -c; rm -r a
multilog t ./a < long2; wc -c a/current; rm -r a
head -c 999 long > l999; (cat l999; echo y; cat l999; echo; head -c 1000 long; echo) | multilog '-*' '+*y' ./a; wc -c a/current; rm -r a
head -c 199 long > l; multilog e <l 2>&1 | wc -c;  head -c 200 long | multilog e 2>&1 | wc -c; head -c 201 long | multilog e 2>&1 | wc -c
printf 'a\000b\n\000\n' | multilog ./a; od -An -c a/current
