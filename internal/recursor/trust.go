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
	if env.IsOff("VALIDATE") {
		return nil
	}
	points, err := readPoints(c)
	if err != nil {
		return err
	}
	if len(points) == 0 {
		return nil
	}
	cfg := validator.Config{Policy: dnssec.Policy{SHA1: env.IsOn("VALIDATE_SHA1") && !env.IsOff("VALIDATE_SHA1")}}
	for _, p := range points {
		cfg.Anchors = append(cfg.Anchors, p.Anchor())
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

// readPoints reads the file of trust anchors; if there is none the built-in ones
// hold, but only for the public root.
func readPoints(c *resolver.Config) ([]*dnssec.TrustPoint, error) {
	b, err := readLimited(anchorsPath(), maxTrustBytes)
	if errors.Is(err, fs.ErrNotExist) {
		if !publicRoot(c) {
			return nil, nil
		}
		b, err = []byte(dnssec.RootAnchors), nil
	}
	if err != nil {
		return nil, prog.Fatal("unable to read "+anchorsFile, err)
	}
	points, err := dnssec.ParsePoints(b)
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
