for p in supervise svok fghack pgrphack setuidgid envuidgid envdir setlock softlimit; do show $p; done
show supervise a b
show svc; show svstat; show readproctitle; show readproctitle 1234; show readproctitle a 1234
show setuidgid root; show envuidgid root; show envdir .; show setlock f; show setlock -n f; show softlimit -m 1000000
show svc -y .; show svc -d- .; show setlock -z f true; show softlimit -q true; show softlimit -d; show softlimit -dx true; show softlimit -d 1x true
show setlock -n -- ; show svc --; show svc -
show multilog </dev/null; show multilog unknown words </dev/null
show tai64n extra </dev/null; show tai64nlocal extra </dev/null
show supervise /nonexistent; show svok /nonexistent; show svstat /nonexistent; show svc -u /nonexistent; show svc /nonexistent; show svscan /nonexistent
show envdir /nonexistent true; show setlock /nonexistent/f true; show setlock -x /nonexistent/f true
