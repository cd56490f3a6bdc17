package resolver

// timer is embedded in what waits for a time. pos is its place in the heap
// plus one, 0 when it is not set.
type timer struct {
	at  Time
	pos int
	x   *exchange // one of the two owns it
	r   *root
}

// timerHeap orders timers by time: a binary heap that knows where each is, so
// that a timer that is no longer wanted leaves at once.
type timerHeap []*timer

func (h *timerHeap) set(t *timer, at Time) {
	if t.pos == 0 {
		*h = append(*h, t)
		t.pos = len(*h)
	}
	old := t.at
	t.at = at
	if at < old || old == 0 {
		h.up(t.pos - 1)
	}
	h.down(t.pos - 1)
}

func (h *timerHeap) stop(t *timer) {
	if t.pos == 0 {
		return
	}
	i, last := t.pos-1, len(*h)-1
	moved := (*h)[last]
	(*h)[i] = moved
	moved.pos = i + 1
	(*h)[last] = nil
	*h = (*h)[:last]
	t.pos, t.at = 0, 0
	if i < last {
		h.up(i)
		h.down(moved.pos - 1)
	}
}

func (h timerHeap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i+1, j+1
}

func (h timerHeap) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if h[p].at <= h[i].at {
			return
		}
		h.swap(i, p)
		i = p
	}
}

func (h timerHeap) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1].at < h[c].at {
			c++
		}
		if h[i].at <= h[c].at {
			return
		}
		h.swap(i, c)
		i = c
	}
}
