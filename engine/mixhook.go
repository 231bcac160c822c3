package engine

import (
	"slices"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer/bridge"
)

// bindMix asks the plugins for their hooks on what a receiver of a mix hears, and
// does not wait for them. Server.mu is held.
func (s *Server) bindMix(r *room, l *mixLeg) {
	if s.has(func(p *plugin) bool { return p.MixProcessor != nil }) {
		info := hooks.ReceiverInfo{CallID: r.call.state.ID, UserID: l.to.userID}
		s.spawn(func() {
			var hs []*mixHook
			for _, p := range s.plugins {
				if p.MixProcessor == nil {
					continue
				}
				track := hooks.TrackInfo{CallID: info.CallID, UserID: info.UserID}
				f, ok := bindHook(s, p.Name, track, func(hooks.TrackInfo) hooks.MixHook { return p.MixProcessor(info) })
				if ok && f != nil {
					hs = append(hs, &mixHook{hookGuard{name: p.Name, log: s.log}, f})
				}
			}
			if len(hs) > 0 {
				l.heard.SetFinish(func(pcm []int16, channels int) {
					for _, h := range hs {
						h.guard.run(func() { h.call(pcm, channels) })
					}
				})
			}
		})
	}
	s.bindPaths(r, l, r.tracks...)
}

// mixHook is a host's hook on a receiver's mix.
type mixHook struct {
	guard hookGuard
	call  hooks.MixHook
}

// bindPaths asks the plugins for their hooks on the ways from tracks to a
// receiver of a mix, and does not wait for them. Server.mu is held.
func (s *Server) bindPaths(r *room, l *mixLeg, tracks ...*track) {
	if !s.has(func(p *plugin) bool { return p.PathProcessor != nil }) {
		return
	}
	type path struct {
		info hooks.PathInfo
		src  *bridge.Source
	}
	var paths []path
	for _, t := range tracks {
		if src := t.source.Load(); src != nil && t.kind == signal.KindAudio && t.owner != l.to {
			paths = append(paths, path{hooks.PathInfo{CallID: r.call.state.ID, Talker: t.owner.userID, Receiver: l.to.userID}, src.Source})
		}
	}
	if len(paths) == 0 {
		return
	}
	s.spawn(func() {
		for _, w := range paths {
			var hs []*pcmHook
			for _, p := range s.plugins {
				if p.PathProcessor == nil || s.isDone() {
					continue
				}
				track := hooks.TrackInfo{CallID: w.info.CallID, UserID: w.info.Talker}
				f, ok := bindHook(s, p.Name, track, func(hooks.TrackInfo) hooks.PCMHook { return p.PathProcessor(w.info) })
				if ok && f != nil {
					hs = append(hs, newPCMHook(p.Name, f, s.log))
				}
			}
			if len(hs) > 0 {
				l.heard.SetPath(w.src, func(pcm []int16) {
					for _, h := range hs {
						h.process(pcm)
					}
				})
			}
		}
	})
}

func (s *Server) has(hook func(*plugin) bool) bool { return slices.ContainsFunc(s.plugins, hook) }

func (s *Server) isDone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// spawn runs f beside the server, which waits for it when it closes.
func (s *Server) spawn(f func()) {
	if s.closed {
		return
	}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		f()
	}()
}
