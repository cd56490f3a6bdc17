package recursor

import (
	"errors"
	"io/fs"

	"bulkhead/internal/dnssec"
	"bulkhead/internal/env"
	"bulkhead/internal/prog"
	"bulkhead/internal/resolver"
	"bulkhead/internal/validator"
)

// Files of trust, below ROOT (docs/format-trust-anchors.md).
const (
	anchorsFile   = "trust-anchors"
	negativeFile  = "negative-trust-anchors"
	maxTrustBytes = 1 << 20
)

// addValidator sets up validation, unless VALIDATE=0 or the file of trust
// anchors is there and holds none. Without the file the root's keys count.
func addValidator(c *resolver.Config) error {
	if on, err := env.Default("VALIDATE"); err != nil || !on {
		return err
	}
	points, err := readPoints(c)
	if err != nil {
		return err
	}
	cfg := validator.Config{Policy: dnssec.Policy{SHA1: env.IsOn("VALIDATE_SHA1")}}
	if cfg.Anchors = trusted(points); len(cfg.Anchors) == 0 {
		return nil
	}
	for i := range cfg.Anchors {
		// not an error: who has a second anchor that is right goes on by that
		for _, why := range cfg.Anchors[i].Useless() {
			prog.Warn(anchorsFile+": no key matches "+why, nil)
		}
	}
	b, err := readLimited(negativeFile, maxTrustBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return prog.Fatal("unable to read "+negativeFile, err)
	}
	if cfg.NTAs, err = dnssec.ParseNTAs(b); err != nil {
		return prog.Permanent("unable to parse "+negativeFile, err)
	}
	for _, z := range c.Zones {
		cfg.Private = append(cfg.Private, z.Name)
	}
	c.Validator = validator.New(cfg)
	return nil
}

// readPoints reads the files of trust anchors; if there is none the built-in ones
// hold, but only for the public root.
func readPoints(c *resolver.Config) ([]*dnssec.TrustPoint, error) {
	text, err := anchorsText(publicRoot(c), false, nil)
	if err != nil {
		return nil, err
	}
	return parsePoints(text)
}

func parsePoints(text []byte) ([]*dnssec.TrustPoint, error) {
	points, err := dnssec.ParsePoints(text)
	if err != nil {
		return nil, prog.Permanent("unable to parse "+anchorsFile, err)
	}
	return points, nil
}

// forWorker is the configuration with a validator of the worker's own: it has
// a table that threads must not share.
func forWorker(c *resolver.Config, explain func(validator.Step)) *resolver.Config {
	v, ok := c.Validator.(*validator.Validator)
	if !ok {
		return c
	}
	own := *c
	t := v.Config()
	t.Explain = explain
	own.Validator = validator.New(t)
	return &own
}
