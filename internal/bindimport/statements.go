package bindimport

// What becomes of the statements of named.conf. Every statement that is read
// is either carried over by the importer, or stands here, or is reported as
// unknown: nothing is dropped without a word.

// fate of a statement.
type fate struct {
	lost   bool   // false: it has nothing to do with what is answered
	reason string // for the list
}

const (
	byCache   = "recursion is the business of dnscache: make a cache with dnscache-conf"
	bySigning = "zones are signed before they are published, by a program of their own"
	process   = "concerns the named process only"
	noUpdates = "data change by editing the data file, not by updates over the network"
	oneLog    = "logs go to standard error, and from there to multilog"
)

// carried are the statements that the importer itself understands, by the
// block they stand in ("" is the top).
var carried = map[string]map[string]bool{
	"":        set("options", "view", "zone", "acl", "key", "masters", "primaries", "remote-servers", "include"),
	"options": set("directory", "allow-transfer", "masterfile-format"),
	"view":    set("match-clients", "zone", "allow-transfer", "key", "masterfile-format"),
	"zone":    set("type", "file", "allow-transfer", "in-view", "masterfile-format"),
}

func set(words ...string) map[string]bool {
	m := map[string]bool{}
	for _, w := range words {
		m[w] = true
	}
	return m
}

// fates holds for every block.
var fates = map[string]fate{
	// top level
	"logging":             {false, oneLog},
	"controls":            {false, "services are controlled with svc and svstat"},
	"statistics-channels": {false, process},
	"trusted-keys":        {false, byCache},
	"trust-anchors":       {false, byCache},
	"managed-keys":        {false, byCache},
	"bindkeys-file":       {false, byCache},
	"server":              {true, "settings for one other server are not kept"},
	"lwres":               {true, "there is no such service"},
	"dlz":                 {true, "a database behind the server is not read"},
	"dyndb":               {true, "a database behind the server is not read"},
	"plugin":              {true, "named's plugins do not run here"},
	"dnssec-policy":       {true, bySigning},
	"tls":                 {true, "encrypted transport is the business of a front-end program"},
	"http":                {true, "encrypted transport is the business of a front-end program"},
	"parental-agents":     {true, bySigning},

	// the process
	"pid-file": {false, process}, "dump-file": {false, process}, "statistics-file": {false, process},
	"memstatistics-file": {false, process}, "memstatistics": {false, process}, "zone-statistics": {false, process},
	"key-directory": {false, bySigning}, "managed-keys-directory": {false, byCache}, "new-zones-directory": {false, process},
	"session-keyfile": {false, process}, "session-keyname": {false, process}, "session-keyalg": {false, process},
	"lock-file": {false, process}, "coresize": {false, process}, "datasize": {false, process}, "files": {false, process}, "stacksize": {false, process},
	"listen-on":    {false, "the address is the file env/IP of each service"},
	"listen-on-v6": {false, "the address is the file env/IP of each service"},
	"port":         {false, "the port is 53, or the file env/PORT"},
	"tcp-clients":  {false, "the limit is an option of tcpserver"}, "tcp-listen-queue": {false, "the limit is an option of tcpserver"},
	"tcp-idle-timeout": {false, process}, "tcp-initial-timeout": {false, process}, "tcp-keepalive-timeout": {false, process}, "tcp-advertised-timeout": {false, process},
	"interface-interval": {false, process}, "automatic-interface-scan": {false, process}, "heartbeat-interval": {false, process},
	"reserved-sockets": {false, process}, "lmdb-mapsize": {false, process}, "allow-new-zones": {false, process}, "startup-notify-rate": {false, process},
	"querylog": {false, oneLog}, "version": {false, "answers about the server itself, class CHAOS"}, "hostname": {false, "answers about the server itself, class CHAOS"}, "server-id": {false, "answers about the server itself, class CHAOS"},
	"max-journal-size": {false, process}, "journal": {false, process}, "max-rsa-exponent-size": {false, process}, "max-udp-size": {false, "answers over UDP have at most 1232 bytes"}, "edns-udp-size": {false, "answers over UDP have at most 1232 bytes"},
	"nocookie-udp-size": {false, "answers over UDP have at most 1232 bytes"}, "answer-cookie": {false, "server cookies follow RFC 9018"}, "cookie-algorithm": {false, "server cookies follow RFC 9018"}, "cookie-secret": {false, "cookie secrets are made anew"},
	"require-server-cookie": {false, byCache}, "send-cookie": {false, byCache},
	"auth-nxdomain": {false, byCache}, "minimal-responses": {false, "only optional sections differ, which verify takes into account"}, "minimal-any": {false, "answers to ANY follow RFC 8482"},
	"additional-from-auth": {false, "only optional sections differ"}, "additional-from-cache": {false, "only optional sections differ"},
	"rrset-order": {true, "the order of records in an answer is not settable"}, "sortlist": {true, "the order of records in an answer is not settable"},
	"message-compression": {false, "names in answers are always compressed"}, "glue-cache": {false, process}, "transfer-format": {false, "many records a message"},
	"check-names": {false, "checks are made by named"}, "check-mx": {false, "checks are made by named"}, "check-mx-cname": {false, "checks are made by named"}, "check-srv-cname": {false, "checks are made by named"}, "check-sibling": {false, "checks are made by named"},
	"check-integrity": {false, "checks are made by named"}, "check-spf": {false, "checks are made by named"}, "check-wildcard": {false, "checks are made by named"}, "check-dup-records": {false, "checks are made by named"}, "check-svcb": {false, "checks are made by named"},
	"masterfile-style": {false, process}, "max-zone-ttl": {false, "checks are made by named"}, "max-records": {false, "checks are made by named"}, "max-records-per-type": {false, "checks are made by named"}, "max-types-per-name": {false, "checks are made by named"},
	"serial-update-method": {false, noUpdates}, "sig-validity-interval": {false, bySigning}, "flush-zones-on-shutdown": {false, process},

	// the recursive half of named
	"recursion": {false, byCache}, "allow-recursion": {true, byCache + "; who may ask it are files in its root/ip"}, "allow-recursion-on": {false, byCache}, "allow-query-cache": {true, byCache + "; who may ask it are files in its root/ip"},
	"allow-query-cache-on": {false, byCache}, "forward": {true, byCache + " with FORWARDONLY"}, "forwarders": {true, byCache + " with FORWARDONLY, or name the servers in root/servers"},
	"dnssec-validation": {false, byCache}, "dnssec-enable": {false, "always on"}, "dnssec-lookaside": {false, byCache}, "dnssec-must-be-secure": {false, byCache}, "dnssec-accept-expired": {false, byCache}, "validate-except": {false, byCache},
	"disable-algorithms": {false, byCache}, "disable-ds-digests": {false, byCache}, "disable-empty-zone": {false, byCache}, "empty-zones-enable": {false, byCache}, "empty-server": {false, byCache}, "empty-contact": {false, byCache},
	"max-cache-size": {false, byCache}, "max-cache-ttl": {false, byCache}, "max-ncache-ttl": {false, byCache}, "min-cache-ttl": {false, byCache}, "min-ncache-ttl": {false, byCache}, "cleaning-interval": {false, byCache}, "lame-ttl": {false, byCache}, "servfail-ttl": {false, byCache},
	"prefetch": {false, byCache}, "qname-minimization": {false, byCache}, "resolver-query-timeout": {false, byCache}, "recursive-clients": {false, byCache}, "clients-per-query": {false, byCache}, "max-clients-per-query": {false, byCache}, "fetches-per-server": {false, byCache}, "fetches-per-zone": {false, byCache},
	"max-recursion-depth": {false, byCache}, "max-recursion-queries": {false, byCache}, "root-key-sentinel": {false, byCache}, "trust-anchor-telemetry": {false, byCache}, "synth-from-dnssec": {false, byCache}, "stale-answer-enable": {false, byCache}, "stale-answer-ttl": {false, byCache},
	"stale-answer-client-timeout": {false, byCache}, "stale-cache-enable": {false, byCache}, "max-stale-ttl": {false, byCache}, "stale-refresh-time": {false, byCache}, "query-source": {false, byCache}, "query-source-v6": {false, byCache}, "attach-cache": {false, byCache}, "dual-stack-servers": {false, byCache},
	"preferred-glue": {false, "only optional sections differ"}, "no-case-compress": {false, "letter case is kept"}, "use-v4-udp-ports": {false, byCache}, "use-v6-udp-ports": {false, byCache}, "avoid-v4-udp-ports": {false, byCache}, "avoid-v6-udp-ports": {false, byCache}, "acache-enable": {false, process},
	"dns64": {true, byCache + "; synthesis of AAAA is not kept"}, "dns64-server": {true, byCache}, "dns64-contact": {true, byCache}, "response-policy": {true, "there are no response policy zones"}, "catalog-zones": {true, "there are no catalog zones"}, "rate-limit": {true, "there is no rate limit by response here"},
	"filter-aaaa": {true, "AAAA records are not filtered"}, "filter-aaaa-on-v4": {true, "AAAA records are not filtered"}, "deny-answer-addresses": {true, byCache}, "deny-answer-aliases": {true, byCache}, "nxdomain-redirect": {true, byCache}, "blackhole": {true, "clients are shut out by a packet filter"},
	"dnstap": {true, "there is no dnstap output"}, "dnstap-output": {true, "there is no dnstap output"}, "geoip-directory": {true, "locations are address prefixes"},

	// who may ask, and other servers
	"allow-query":             {true, "an authoritative server here answers everybody; write % lines to show clients different data"},
	"allow-query-on":          {true, "an authoritative server here answers everybody on its address"},
	"allow-notify":            {false, "there is no secondary role that would listen to NOTIFY"},
	"allow-update":            {true, noUpdates},
	"allow-update-forwarding": {true, noUpdates},
	"update-policy":           {true, noUpdates},
	"ixfr-from-differences":   {false, "transfers are full ones"}, "provide-ixfr": {false, "transfers are full ones"}, "request-ixfr": {false, "transfers are full ones"}, "max-ixfr-ratio": {false, "transfers are full ones"}, "ixfr-base": {false, "transfers are full ones"},
	"request-expire": {false, process}, "request-nsid": {false, byCache}, "response-padding": {false, process}, "keep-response-order": {false, process},
	"transfers-in": {false, process}, "transfers-out": {false, process}, "transfers-per-ns": {false, process}, "serial-query-rate": {false, process}, "notify-rate": {false, process}, "notify-delay": {false, process}, "notify-to-soa": {false, process},
	"max-transfer-time-in": {false, process}, "max-transfer-idle-in": {false, process}, "max-transfer-time-out": {false, process}, "max-transfer-idle-out": {false, process}, "max-transfer-size": {false, process}, "min-transfer-rate-in": {false, process},
	"transfer-source": {false, process}, "transfer-source-v6": {false, process}, "notify-source": {false, process}, "notify-source-v6": {false, process}, "alt-transfer-source": {false, process}, "use-alt-transfer-source": {false, process},
	"min-refresh-time": {false, process}, "max-refresh-time": {false, process}, "min-retry-time": {false, process}, "max-retry-time": {false, process}, "multi-master": {false, process}, "dialup": {false, process}, "try-tcp-refresh": {false, process},
	"notify":      {true, "no NOTIFY is sent: name the secondaries in root/secondaries and make pushes the data to them, or let them poll by the SOA's refresh time"},
	"also-notify": {true, "no NOTIFY is sent: name the secondaries in root/secondaries and make pushes the data to them, or let them poll by the SOA's refresh time"},
	"masters":     {true, "a secondary's data come by axfr-get, or better by rsync from the primary"},
	"primaries":   {true, "a secondary's data come by axfr-get, or better by rsync from the primary"},
	"auto-dnssec": {true, bySigning}, "inline-signing": {true, bySigning}, "dnskey-sig-validity": {true, bySigning}, "dnssec-dnskey-kskonly": {true, bySigning}, "dnssec-loadkeys-interval": {true, bySigning}, "dnssec-secure-to-insecure": {true, bySigning}, "dnssec-update-mode": {true, bySigning}, "update-check-ksk": {true, bySigning}, "sig-signing-nodes": {true, bySigning}, "sig-signing-signatures": {true, bySigning}, "sig-signing-type": {true, bySigning}, "checkds": {true, bySigning}, "parental-source": {true, bySigning}, "parental-source-v6": {true, bySigning},
	"tkey-domain": {true, "there is no TKEY"}, "tkey-dhkey": {true, "there is no TKEY"}, "tkey-gssapi-credential": {true, "there is no TKEY"}, "tkey-gssapi-keytab": {true, "there is no TKEY"},
	"database": {true, "a database behind the server is not read"}, "pubkey": {true, "obsolete"}, "delegation-only": {true, byCache}, "root-delegation-only": {true, byCache}, "server-addresses": {true, byCache}, "server-names": {true, byCache},
	"match-destinations":   {true, "a location depends on the client's address only"},
	"match-recursive-only": {true, "a location depends on the client's address only"},
}

// unlessNone are statements that say nothing when they name nobody, or say
// what holds here anyway when they name everybody.
var unlessNone = map[string]string{
	"allow-update": "none", "allow-update-forwarding": "none", "allow-query": "any", "allow-query-on": "any", "allow-recursion": "none", "allow-query-cache": "none",
	"match-destinations": "any", "blackhole": "none",
}

// unlessWord are statements that say what holds here anyway with this word.
var unlessWord = map[string]string{
	"notify": "no", "match-recursive-only": "no", "auto-dnssec": "off", "inline-signing": "no", "dnssec-policy": "none", "ixfr-from-differences": "no",
}
