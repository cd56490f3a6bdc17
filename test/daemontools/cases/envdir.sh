mkdir e; cd e
printf 'plain' > A; printf 'line one\nline two\n' > B; printf 'trail \t \n' > C; printf 'cr\r\n' > D; : > E; printf '\n' > F
printf 'nul\000here' > G; printf ' \t' > H; printf '  lead' > I; printf 'x' > .hidden; printf 'multi\n' > 'J K'
head -c 20000 /dev/zero | tr '\0' x > L
cd ..
E=was B=old; export E B
envdir e sh -c 'for v in A B C D F G H I; do eval "printf \"%s=[%s]\\n\" $v \"\$$v\""; done; echo E=${E-unset}; echo ${#L}'
envdir e env | grep -a -c '^J K=multi'
mkdir e/sub; show envdir e true; rmdir e/sub
printf '/nowhere' > e/PATH; show envdir e /bin/sh -c 'echo $PATH'; printf '/nowhere' > e/PATH; show envdir e env -u L -u G /bin/echo found
echo 1 > f; show envdir f true
mkdir e2; printf a > e2/X; X=1 Y=2 show env -i X=1 Y=2 PATH="$PATH" envdir e2 env | grep -v PATH | sed 's/^LD.*//' | grep '^[XY=]'
mkdir e3; : > e3/X; show env -i X=1 X=2 Y=3 PATH="$PATH" envdir e3 env | grep '^[XY=]'
