mkfifo p; multilog ./a < p & m=$!; exec 9>p; killed=$m
printf 'one\ntwo' >&9; has a/current one; cat a/current; echo --
kill -ALRM $m; try sh -c 'ls a | grep -q "^@"'; ls a | sed 's/@4.\{23\}/LABEL/'; cat a/@*; echo --; cat a/current; stat -c '%a %s' a/current
kill -TERM $m; try grep -q 'ShdPnd:.0*$' /proc/$m/status; sleep 0.5; printf ' rest\nnot mine\n' >&9; wait $m; echo "= $?"; cat a/current; stat -c %a a/current
exec 8<p; exec 9>&-; cat <&8; exec 8<&-
# TERM with nothing begun
multilog ./b < p & m=$!; exec 9>p; echo x >&9; has b/current x; kill -TERM $m; wait $m; echo "= $?"; stat -c '%a %s' b/current; exec 9>&-
# ALRM with nothing there
multilog ./c < p & m=$!; exec 9>p; try test -e c/current; sleep 0.3; kill -ALRM $m; sleep 0.3; ls c; exec 9>&-; wait $m; echo "= $?"
# in use
multilog ./d < p & m=$!; exec 9>p; try test -e d/current; show multilog ./d </dev/null; exec 9>&-; wait $m
