show softlimit -o 20 sh -c 'ulimit -n'
show softlimit -o20 -c 0 -f 1024000 sh -c 'ulimit -n; ulimit -c; ulimit -f'
show softlimit -d 100000000 -s 4000000 -l 40000 -a 2000000000 sh -c 'ulimit -d; ulimit -s; ulimit -l; ulimit -v'
show softlimit -m 30000000 sh -c 'ulimit -d; ulimit -s; ulimit -l; ulimit -v'
show softlimit -o = sh -c '[ "$(ulimit -n)" = "$(ulimit -Hn)" ] && echo same'
show softlimit -o 99999999999 sh -c '[ "$(ulimit -n)" = "$(ulimit -Hn)" ] && echo cut'
show sh -c 'ulimit -Sn 100; softlimit -c 0 sh -c "ulimit -n; ulimit -Hn >/dev/null"'
show sh -c 'ulimit -n 64; softlimit -o 100 sh -c "ulimit -n"; softlimit -o 32 sh -c "ulimit -n; ulimit -Hn"'
show softlimit -o 30 -o 25 sh -c 'ulimit -n'
show softlimit -t 100 -r 5000000 -p 50000 sh -c 'ulimit -t; ulimit -m'
show softlimit -o '' sh -c 'echo started' 2>/dev/null
show softlimit -o 1a true; show softlimit -o -1 true; show softlimit -x 1 true; show softlimit -o
