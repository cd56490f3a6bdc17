mkdir s t .hidden other
service t/one <<'X'
echo one
exec sleep 1000
X
service t/two <<'X'
echo two says
exec sleep 1000
X
service t/two/log <<'X'
exec multilog ./main
X
touch s/file; service .hidden/x </dev/null; ln -s ../.hidden s/.h; ln -s ../t/one ../t/two s/; ln -s nothing s/dangling; ln -s ../t/one s/again
svscan s >said 2>err & p=$!; killed=$p
up s/one; up s/two; up s/two/log; has t/two/log/main/current says; svstat s/one s/two s/two/log; try grep -q one said; cat said; sort -u err; cat t/two/log/main/current
# the children: two supervises of a logged service are svscan's, by these names
try sh -c "[ \$(pgrep -P $p | wc -l) = 3 ]"; for c in $(pgrep -P $p); do tr '\0' ' ' < /proc/$c/cmdline | sed 's/again/one/'; echo; done | sort
# a killed supervise comes back, the service is not started twice
o=$(pgrep -P $p -f 'supervise two'); kill -9 $o; try sh -c "pgrep -P $p -f 'supervise two' | grep -vqx $o"; sort -u err | sed 's/dangling.*/dangling/'
# the entry goes: the service stays, until told; then it is not started again
rm s/one s/again; (cd t/one; svc -dx .); gone t/one; sleep 6; show svok t/one; rm s/two; (cd t/two; svc -dx . log); gone t/two/log; kill $p; wait $p 2>/dev/null
for c in $(pgrep -f "^sleep 1000"); do [ "$(readlink /proc/$c/cwd)" = "$PWD/t/two" ] && kill -9 $c; done; :
