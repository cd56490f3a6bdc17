# svup and svwait tell scripts what svstat tells people; ALRM asks for a look at a
# directory made in place; a removed entry that is not pruned keeps running
mkdir s; svscan s & p=$!; killed=$p; sleep 0.5; service s/a <<'X'
exec sleep 1000
X
kill -ALRM $p; up s/a; show svup s/a; sleep 1.2; show svc -dwD s/a; show svup s/a; show svwait -T 100 -u s/a; svc -u s/a; show svwait -u s/a; show svup s/a
mkdir t; mv s/a t/a; kill -ALRM $p; sleep 1; svstat t/a; kill -HUP $p; gone t/a; show svup t/a; kill -TERM $p; wait $p; echo "= $?"
