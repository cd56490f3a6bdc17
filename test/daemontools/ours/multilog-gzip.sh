# a suffix that says gz: multilog compresses full logs itself, within its box
seq 1 9000 > in; multilog s4096 n99 ws.gz ./a < in; ls a | sed 's/@4.\{23\}/LABEL/' | sort -u; stat -c %a a/@* a/current | sort -u
for f in a/@*; do gzip -t $f || echo "$f is broken"; done; { for f in a/@*; do zcat $f; done; cat a/current; } | cmp - in && echo complete
# no program is needed for it; a processor goes first; the total counts what is on disk
PATH=$bin multilog s4096 wgz ./b < in; ls b | grep -c 'gz$'
multilog s4096 n99 '!tr 0-9 a-j' wgz ./c < in; head -1 $(ls c/@*.gz | head -1)
multilog s4096 n99 S8000 wgz ./d < in; t=$(cat d/@* | wc -c); [ $t -le 8000 ] && [ $t -gt 5000 ] && echo bounded
# one whose predecessor was killed: what it left is kept as it is
mkdir e; head -100 in > e/previous; head -20 in > e/current; chmod 644 e/*; tail -n +9000 in | multilog ws.gz ./e; ls e | sed 's/@4.\{23\}/LABEL/'; cat $(ls e/@*.u | head -1) | tail -1; cat e/current
# killed when the compressed file was complete, but not its old form gone
mkdir f; head -100 in > f/previous; head -100 in | gzip > f/processed; chmod 744 f/p*; : | multilog ws.gz ./f; ls f | sed 's/@4.\{23\}/LABEL/'; zcat f/@*.gz | tail -1
# the next file goes through the same hands: ALRM rotates, TERM ends
mkfifo p; multilog wgz ./g < p & m=$!; exec 9>p; killed=$m
for i in 1 2 3; do echo line $i >&9; try grep -q $i g/current; kill -ALRM $m; try sh -c "for f in g/@*.gz; do zcat \$f; done | grep -q $i"; done; kill -TERM $m; wait $m; echo "= $?"; for f in g/@*.gz; do zcat $f; done
