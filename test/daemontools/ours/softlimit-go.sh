for o in '-d 300000' '-m 3000000' '-a 9000000' '-d 20000000 -o 50'; do show softlimit $o svok . ; (cd $bin; show softlimit $o ./tai64n </dev/null); done
show softlimit -d 300000 sh -c 'echo sh runs'
show softlimit -d 300000000 svok .; show softlimit -o 50 -c 0 -f 100000 svok .; show softlimit -m = svok .
