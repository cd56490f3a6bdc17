mkfifo p; readproctitle service errors: .......................... < p & r=$!; killed=$r; exec 9>p
a() { tr '\0' ' ' < /proc/$r/cmdline; echo; }
try grep -q service /proc/$r/cmdline; a; printf 'hello\nworld\000!' >&9; try grep -aq world! /proc/$r/cmdline; a
seq 1 100 >&9; try grep -aq 100 /proc/$r/cmdline; a; exec 9>&-; wait $r; echo "= $?"
show sh -c 'readproctitle ..... </'
