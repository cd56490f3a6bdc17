package recursor

import (
	"time"

	"bulkhead/internal/resolver"
)

// clock gives the engine's time: the system's, except that it never goes back.
// When somebody sets the system's clock forward it follows; when back, it goes
// on from where it was, by the monotonic clock, until the next start.
type clock struct {
	base   time.Time // with monotonic reading
	at     resolver.Time
	now    resolver.Time
	warp   resolver.Time // tests: moved forward by so much
	warper warper
}

// maxDrift is how far the system's clock may be ahead before ours follows.
const maxDrift = resolver.Second

func (c *clock) start() {
	c.base = time.Now()
	c.at = resolver.Time(c.base.UnixNano())
	c.now = c.at
}

func (c *clock) read() resolver.Time {
	t := time.Now()
	now := c.at + resolver.Time(t.Sub(c.base))
	if wall := resolver.Time(t.UnixNano()); wall-now > maxDrift {
		c.base, c.at, now = t, wall, wall
	}
	c.warp = c.warper.read(t, c.warp)
	if now += c.warp; now > c.now {
		c.now = now
	}
	return c.now
}
