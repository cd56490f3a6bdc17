# every kind of bad input under one svscan: one line for each, word for word,
# and the neighbour is started once and never disturbed
mk() { service $1 <<'X'
exec sleep 1000
X
}
mkdir svc; service neighbour <<'X'
echo started >> starts; exec sleep 1000
X
mk closed; chmod 0 closed/run
mk folder; rm folder/run; mkdir folder/run
mk loop; ln -sf run loop/run
mk none; rm none/run
mk noshell; echo '#!/no/such' > noshell/run
mk text; echo text > text/run
mk fifo; mk gone; mk lock; mkdir -p lock/supervise/lock
mk control; mkdir control/supervise; : > control/supervise/control
mk ok; mkdir ok/supervise; : > ok/supervise/ok
mk flat; : > flat/supervise
mk logloop; ln -s log logloop/log
mk badlog; service badlog/log <<'X'
X
chmod 0 badlog/log/run
for i in neighbour closed folder loop none noshell text fifo gone lock control ok flat logloop badlog; do ln -s ../$i svc/$i; done
ln -s self svc/self; ln -s nothing svc/dangling; : > svc/file; mkfifo svc/pipe
svscan svc 2>>err & p=$!; killed=$p; up neighbour; up fifo; up gone; up badlog
for i in closed folder loop none noshell text lock control ok flat logloop log/run self dangling; do has err "$i"; done
sort -u err; : > err
# a FIFO turns into a file: svc says so, the service goes on and is still restarted
rm fifo/supervise/control; : > fifo/supervise/control; show svc -d svc/fifo; svstat svc/fifo
n=$(svstat -o pid fifo); kill $n; try sh -c "[ \$(svstat -o pid fifo) -gt 0 ] && [ \$(svstat -o pid fifo) != $n ]"; svstat svc/fifo
# its next supervise refuses the file; with the FIFO back all is well
kill -9 $(pgrep -P $p -f '^supervise fifo$'); kill $(svstat -o pid fifo) 2>/dev/null; has err 'not a fifo'; grep fifo/ err | sort -u; rm fifo/supervise/control; up svc/fifo; : > err
# a service directory is removed while it runs
g=$(svstat -o pid gone); rm -r gone; kill $g; has err 'unable to start gone/run'; has err 'stat gone'; grep gone err | sort -u
rm svc/gone; kill -HUP $p; try sh -c "! pgrep -P $p -f '^supervise gone$'" && echo gone has been let go
cat neighbour/starts; svstat neighbour; show svc -x svc/neighbour; kill -TERM $p; wait $p; echo "= $?"; cat neighbour/starts
