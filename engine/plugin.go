package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// maxEvents is how many events may wait for a plugin's Observe.
const maxEvents = 1024

// plugin is a hooks.Plugin at work.
type plugin struct {
	hooks.Plugin
	srv     *Server
	events  chan notice // nil: it does not observe; guarded by Server.mu
	dropped atomic.Uint64
	done    chan struct{}
	meters  hookMeters
}

// notice is what an observer is told: an event, or volumes.
type notice struct {
	event   hooks.Event
	volumes *hooks.RoomVolumes
}

func newPlugin(s *Server, p hooks.Plugin) *plugin {
	out := &plugin{Plugin: p, srv: s}
	if p.Name == "" {
		out.Name = "plugin"
	}
	for k, set := range [numHooks]bool{
		hookMayCall: p.MayCall != nil, hookMember: p.Member != nil, hookAdmit: p.Admit != nil, hookAdmitRoQ: p.AdmitRoQ != nil,
		hookMayRecord: p.MayRecord != nil, hookRoute: p.Route != nil, hookPush: p.Push != nil, hookObserve: p.Observe != nil,
		hookVolumes: p.Volumes != nil, hookPacket: p.Packet != nil, hookProcessor: p.Processor != nil,
		hookPathProcessor: p.PathProcessor != nil, hookMixProcessor: p.MixProcessor != nil,
	} {
		if set {
			out.meters.use(out.Name, hookKind(k))
		}
	}
	return out
}

// startPlugins starts those that observe.
func (s *Server) startPlugins() {
	for _, p := range s.plugins {
		if p.Observe != nil || p.Volumes != nil {
			p.events, p.done = make(chan notice, maxEvents), make(chan struct{})
			go p.observe(p.events)
		}
	}
}

func (p *plugin) observe(events <-chan notice) {
	defer close(p.done)
	for n := range events {
		if n.volumes != nil {
			p.contain(hookVolumes, func() { p.meters[hookVolumes].run(func() { p.Volumes(*n.volumes) }) })
		} else {
			p.contain(hookObserve, func() { p.meters[hookObserve].run(func() { p.Observe(n.event) }) })
		}
	}
}

// tell puts a notice before the plugin, or drops and counts it. Server.mu is
// held, so that notices are in order; it never waits.
func (p *plugin) tell(n notice) {
	select {
	case p.events <- n:
	default:
		if p.dropped.Add(1) == 1 {
			p.srv.log.Warn("plugin does not keep up; events are dropped", "plugin", p.Name)
		}
	}
}

// contain runs f, which calls a hook, and logs and counts its panic.
func (p *plugin) contain(k hookKind, f func()) {
	defer func() {
		if r := recover(); r != nil {
			p.meters[k].panicked()
			p.srv.log.Error("plugin panicked", "plugin", p.Name, "in", hookNames[k], "panic", r, "stack", string(debug.Stack()))
		}
	}()
	f()
}

// closePlugins lets the observers hear what is left, and waits for them: for
// as long as a decider may take, since one that hangs must not hang Close.
func (s *Server) closePlugins() {
	late := time.NewTimer(deciderTimeout)
	defer late.Stop()
	s.mu.Lock()
	for _, p := range s.plugins {
		if p.events != nil {
			close(p.events)
			p.events = nil
		}
	}
	s.mu.Unlock()
	for _, p := range s.plugins {
		if p.done == nil {
			continue
		}
		select {
		case <-p.done:
		case <-late.C:
			s.log.Warn("plugin still observes; not waiting for it", "plugin", p.Name)
			late.Reset(0)
		}
	}
}

// observed reports whether anybody is told of events. Server.mu is held.
func (s *Server) observed() bool {
	return slices.ContainsFunc(s.plugins, func(p *plugin) bool { return p.events != nil && p.Observe != nil })
}

// observe tells the plugins of an event. Server.mu is held.
func (s *Server) observe(e hooks.Event) {
	e.Time = time.Now()
	users := e.Users
	for _, p := range s.plugins {
		if p.events == nil || p.Observe == nil {
			continue
		}
		e.Users = slices.Clone(users) // it belongs to the plugin
		p.tell(notice{event: e})
	}
}

// DroppedEvents is how many events plugins have missed so far, because 1,024
// were waiting for their Observe already.
func (s *Server) DroppedEvents() (n uint64) {
	for _, p := range s.plugins {
		n += p.dropped.Load()
	}
	return n
}

// decide asks a decider, and turns whatever goes wrong into an error. What the
// decider did may be read only if there is none: a late one is still at it.
// Server.mu is not held.
func decide(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, deciderTimeout)
	defer cancel()
	got := make(chan error, 1)
	go func() {
		returned := false
		defer func() {
			if p := recover(); p != nil {
				got <- fmt.Errorf("the decider panicked: %v\n%s", p, debug.Stack())
			} else if !returned {
				got <- errors.New("the decider ended its goroutine")
			}
		}()
		err := f(ctx)
		returned = true
		got <- err
	}()
	select {
	case err := <-got:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the decider did not answer within %v: %w", deciderTimeout, ctx.Err())
	}
}

// maxRefusal is how much of a host's words a refused user is told, in bytes.
const maxRefusal = 1024

// refusal turns a decider's error into what the user is told: a *Refusal as it
// is, of any other only that the host refused. A refusal's code is negative:
// anything else would read as a yes.
func (s *Server) refusal(decider string, err error, words string) *hooks.Refusal {
	if err == nil {
		return nil
	}
	out := hooks.Refusal{Code: hooks.CodeEnterRefused, Message: words}
	if r := (*hooks.Refusal)(nil); errors.As(err, &r) && r != nil {
		out.Message = strings.ToValidUTF8(r.Message[:min(len(r.Message), maxRefusal)], "")
		if r.Code < 0 {
			out.Code = r.Code
		}
		return &out
	}
	s.log.Warn("refused", "decider", decider, "err", fmt.Sprint(err)) // Sprint survives an Error that panics
	return &out
}

// each asks all plugins that have a decider, in order; the first no is the
// answer.
func (s *Server) each(ctx context.Context, k hookKind, ask func(context.Context, *plugin) error) error {
	for _, p := range s.plugins {
		if !p.meters[k].used {
			continue
		}
		err := p.meters[k].decide(ctx, func(ctx context.Context) error { return ask(ctx, p) })
		if r := s.refusal(p.Name+": "+hookNames[k], err, "refused by the host"); r != nil {
			return r
		}
	}
	return nil
}

// decideCall says whether a user may call others.
func (s *Server) decideCall(req hooks.CallRequest) error {
	err := s.each(context.Background(), hookMayCall,
		func(ctx context.Context, p *plugin) error {
			req := req
			req.Callees = slices.Clone(req.Callees) // it belongs to the plugin
			return p.MayCall(ctx, req)
		})
	if err != nil || req.GroupID == "" {
		return err
	}
	return s.decideMembers(req.GroupID, append([]string{req.Caller}, req.Callees...))
}

// decideMembers says whether users belong to a group.
func (s *Server) decideMembers(groupID string, users []string) error {
	return s.each(context.Background(), hookMember,
		func(ctx context.Context, p *plugin) error {
			for _, u := range users {
				if err := ctx.Err(); err != nil {
					return err // nobody waits any more
				}
				if err := p.Member(ctx, groupID, u); err != nil {
					return err
				}
			}
			return nil
		})
}

// decideAdmit says whether a user may enter a call's room.
func (s *Server) decideAdmit(req hooks.AdmitRequest) error {
	return s.each(context.Background(), hookAdmit,
		func(ctx context.Context, p *plugin) error { return p.Admit(ctx, req) })
}

// MayRecord asks the plugins whether a user may be recorded. Without a plugin
// that decides nobody may: recording needs consent. It is for what records. An
// error is a no: a *hooks.Refusal, or an *Error if no plugin decides.
func (s *Server) MayRecord(ctx context.Context, req hooks.RecordRequest) error {
	decides := func(p *plugin) bool { return p.MayRecord != nil }
	if !slices.ContainsFunc(s.plugins, decides) {
		return refuse(hooks.CodeRefused, "nobody has consented to recording: no plugin decides MayRecord")
	}
	return s.each(ctx, hookMayRecord,
		func(ctx context.Context, p *plugin) error { return p.MayRecord(ctx, req) })
}

// decideRoutes says for whom of the users the host shows a call in a view of
// its own. A plugin that fails for a user leaves the default for that one; one
// that is late leaves it for all.
func (s *Server) decideRoutes(users []string, req hooks.CallRequest) map[string]bool {
	routes := make(map[string]bool)
	for _, p := range s.plugins {
		if p.Route == nil {
			continue
		}
		var custom []string
		err := p.meters[hookRoute].decide(context.Background(), func(ctx context.Context) error {
			for _, u := range users {
				if err := ctx.Err(); err != nil {
					return err
				}
				p.contain(hookRoute, func() {
					yes, err := p.Route(ctx, hooks.RouteRequest{UserID: u, Inviter: req.Caller, IsGroup: req.IsGroup, GroupID: req.GroupID, Media: req.Media})
					if err != nil {
						s.log.Warn("route decider failed; the default view shows the call", "plugin", p.Name, "user", u, "err", fmt.Sprint(err))
					} else if yes {
						custom = append(custom, u)
					}
				})
			}
			return nil
		})
		if err != nil {
			s.log.Warn("route decider failed; the default view shows the call", "plugin", p.Name, "err", err)
			continue
		}
		for _, u := range custom {
			routes[u] = true
		}
	}
	return routes
}

// push asks the plugins to wake a user's device. It does not wait.
func (s *Server) push(req hooks.PushRequest) {
	for _, p := range s.plugins {
		if p.Push == nil {
			continue
		}
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			if err := p.meters[hookPush].decide(context.Background(), func(ctx context.Context) error { return p.Push(ctx, req) }); err != nil {
				s.log.Warn("push failed", "plugin", p.Name, "user", req.UserID, "err", fmt.Sprint(err))
			}
		}()
	}
}
