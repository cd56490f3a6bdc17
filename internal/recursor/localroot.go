package recursor

import (
	"os"
	"strconv"

	"bulkhead/internal/dnsname"
	"bulkhead/internal/localroot"
	"bulkhead/internal/prog"
	"bulkhead/internal/resolver"
	"bulkhead/internal/validator"
)

// A copy of the root zone in ROOT/root.zone (RFC 8806; docs/format-root-zone.md)
// is put into the cache, once it has been found good, and again every hour. Some
// other program fetches it.
const (
	rootZoneFile    = "root.zone"
	maxRootZone     = 64 << 20   // bytes; it has 2.2 million
	rootZoneRefresh = 3600       // seconds; shorter than any TTL in it
	minRootCache    = 10_000_000 // bytes of CACHESIZE: a smaller cache would hold little else
)

// loadRoot starts to read the copy, if there is one; the worker goes on.
func (w *worker) loadRoot() {
	v, ok := w.cfg.Validator.(*validator.Validator)
	if !ok || w.s.set.CacheSize < minRootCache {
		return
	}
	cfg, now := v.Config(), w.now
	go func() {
		i, err := os.Stat(rootZoneFile)
		if err != nil {
			return
		}
		text, err := readLimited(rootZoneFile, maxRootZone)
		if err != nil {
			prog.Warn("unable to read "+rootZoneFile, err)
			return
		}
		z, err := localroot.Read(text, rootZoneFile, cfg.Anchors, cfg.Policy, uint32(now.Seconds()))
		if err != nil {
			prog.Warn("copy of the root zone is not used", err)
			return
		}
		if age := now.Seconds() - i.ModTime().Unix(); age > int64(z.Expire) {
			prog.Warn("copy of the root zone is not used", errExpired)
			return
		}
		w.call(func(w *worker) { w.takeRoot(z, v) })
	}()
}

type rootError string

func (e rootError) Error() string { return string(e) }

const errExpired = rootError("older than its SOA's expiry")

func (w *worker) takeRoot(z *localroot.Zone, v *validator.Validator) {
	secs := w.now.Seconds()
	for i := range z.Entries {
		e := z.Entries[i].Entry
		e.Expires = secs + int64(min(e.TTL, 86400))
		if e.Kind == resolver.KindRRset {
			e.Sec = resolver.Secure // the digest of the zone is signed, and holds (RFC 8976)
		}
		w.store.Put([]byte(z.Entries[i].Name), &e)
	}
	v.Preload(dnsname.Root, append([]resolver.RRset{z.SOA}, z.NSEC...), w.now)
	if w.rootSerial != z.Serial {
		w.rootSerial = z.Serial
		w.log.Note("root zone " + strconv.FormatUint(uint64(z.Serial), 10) + " is used from " + rootZoneFile)
	}
}
