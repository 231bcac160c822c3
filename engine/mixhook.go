package engine

import (
	"slices"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer/bridge"
)

// bindMix asks the plugins for their hooks on what a receiver of a mix hears, and
// does not wait for them. Server.mu is held.
func (s *Server) bindMix(r *room, l *mixLeg) {
	if slices.ContainsFunc(s.plugins, func(p *plugin) bool { return p.MixProcessor != nil }) {
		info := hooks.ReceiverInfo{CallID: r.call.state.ID, UserID: l.to.userID}
		frame := int(l.m.br.FrameDuration() * codec.SampleRate / time.Second)
		s.spawn(func() {
			var hs pcmHooks
			for _, p := range s.plugins {
				if p.MixProcessor == nil {
					continue
				}
				hs.add(s.bindMixHook(p, hookMixProcessor, hooks.TrackInfo{CallID: info.CallID, UserID: info.UserID}, func(hooks.TrackInfo) hooks.PCMHook {
					f := p.MixProcessor(info)
					if f == nil {
						return nil
					}
					return func(pcm []int16) { f(pcm, len(pcm)/frame) }
				}))
			}
			if len(hs) > 0 {
				l.heard.SetFinish(func(pcm []int16, _ int) { hs.process(pcm) })
			}
		})
	}
	s.bindPaths(r, l, r.tracks...)
}

// bindPaths asks the plugins for their hooks on the ways from tracks to a
// receiver of a mix, and does not wait for them. Server.mu is held.
func (s *Server) bindPaths(r *room, l *mixLeg, tracks ...*track) {
	if !slices.ContainsFunc(s.plugins, func(p *plugin) bool { return p.PathProcessor != nil }) {
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
			var hs pcmHooks
			for _, p := range s.plugins {
				if p.PathProcessor == nil || s.isDone() {
					continue
				}
				hs.add(s.bindMixHook(p, hookPathProcessor, hooks.TrackInfo{CallID: w.info.CallID, UserID: w.info.Talker}, func(hooks.TrackInfo) hooks.PCMHook {
					return p.PathProcessor(w.info)
				}))
			}
			if len(hs) > 0 {
				l.heard.SetPath(w.src, hs.process)
			}
		}
	})
}

// bindMixHook asks a plugin for a hook that runs in a room's tick, or nil.
func (s *Server) bindMixHook(p *plugin, k hookKind, info hooks.TrackInfo, bind func(hooks.TrackInfo) hooks.PCMHook) *pcmHook {
	f, ok := bindHook(s, p, k, info, bind)
	if !ok || f == nil {
		return nil
	}
	h := newPCMHook(p.Name, f, s.log)
	h.guard.meter, h.guard.labels = &p.meters[k], withHook(newRoomLabels(info.CallID).mix, p.Name, k)
	h.apart = newApart(h)
	return h
}

// pcmHooks are several hooks on the same sound, one after the other.
type pcmHooks []*pcmHook

func (hs *pcmHooks) add(h *pcmHook) {
	if h != nil {
		*hs = append(*hs, h)
	}
}

func (hs pcmHooks) process(pcm []int16) {
	for _, h := range hs {
		h.process(pcm)
	}
}

func (s *Server) isDone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// spawn runs f beside the server, which waits for it when it closes. Server.mu is
// held.
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
