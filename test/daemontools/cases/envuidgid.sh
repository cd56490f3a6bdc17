show envuidgid root sh -c 'echo $UID $GID'
show envuidgid daemon env | grep -E '^(UID|GID)='
show envuidgid no-such-account true
show envuidgid 0 true
show envuidgid '' true
UID_=1 show env UID=77 GID=88 envuidgid daemon env | grep -cE '^(UID|GID)='
show envuidgid root nothing-of-this-name
