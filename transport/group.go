package transport

import (
	"runtime"
	"slices"
	"sync"
)

// A group counts a session's goroutines. Unlike with a sync.WaitGroup, one of
// them may itself wait for the others: a packet handler may close its session.
type group struct {
	mu      sync.Mutex
	cond    sync.Cond
	ids     []uint64 // of the goroutines that run
	waiting int      // how many of them are in wait
	n       int
}

// start runs f in a goroutine of the group.
func (g *group) start(f func()) {
	g.mu.Lock()
	g.n++
	g.mu.Unlock()
	go func() {
		id := goroutineID()
		g.mu.Lock()
		g.ids = append(g.ids, id)
		g.mu.Unlock()
		defer func() {
			g.mu.Lock()
			g.n--
			if i := slices.Index(g.ids, id); i >= 0 {
				g.ids = slices.Delete(g.ids, i, i+1)
			}
			g.broadcast()
			g.mu.Unlock()
		}()
		f()
	}()
}

func (g *group) broadcast() {
	if g.cond.L != nil {
		g.cond.Broadcast()
	}
}

// wait returns when every goroutine of the group has ended, except those that
// are themselves in wait, if the caller is one of the group.
func (g *group) wait() {
	id := goroutineID()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cond.L == nil {
		g.cond.L = &g.mu
	}
	if !slices.Contains(g.ids, id) {
		for g.n > 0 {
			g.cond.Wait()
		}
		return
	}
	g.waiting++
	g.broadcast()
	for g.n > g.waiting {
		g.cond.Wait()
	}
	g.waiting--
}

// goroutineID is the number in the first line of a stack trace, "goroutine 7
// [running]:". Go offers no other way to know whether a caller is one of the
// goroutines that it is about to wait for. It is used when goroutines start
// and when sessions close, never per packet.
func goroutineID() uint64 {
	var buf [40]byte
	n := runtime.Stack(buf[:], false)
	var id uint64
	for _, c := range buf[len("goroutine "):n] {
		if c < '0' || c > '9' {
			break
		}
		id = id*10 + uint64(c-'0')
	}
	return id
}
