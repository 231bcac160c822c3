package hookstest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/hookstest"
)

// fake takes down what the suite finds.
type fake struct {
	testing.TB
	mu    sync.Mutex
	found []string
}

func (f *fake) Helper()                           {}
func (f *fake) Error(args ...any)                 { f.note(fmt.Sprint(args...)) }
func (f *fake) Errorf(format string, args ...any) { f.note(fmt.Sprintf(format, args...)) }
func (f *fake) note(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found = append(f.found, s)
}

// good is a plugin as it should be, with all of the functions.
func good() hooks.Plugin {
	var mu sync.Mutex
	seen := make(map[string]int)
	answer := func(ctx context.Context, user string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		seen[user]++
		if user != "alice" {
			return &hooks.Refusal{Code: hooks.CodeEnterRefused, Message: "alice only"}
		}
		return nil
	}
	return hooks.Plugin{
		Name:      "good",
		MayCall:   func(ctx context.Context, r hooks.CallRequest) error { return answer(ctx, r.Caller) },
		Member:    func(ctx context.Context, _, user string) error { return answer(ctx, user) },
		Admit:     func(ctx context.Context, r hooks.AdmitRequest) error { return answer(ctx, r.UserID) },
		MayRecord: func(ctx context.Context, r hooks.RecordRequest) error { return answer(ctx, r.UserID) },
		AdmitRoQ: func(ctx context.Context, r hooks.RoQRequest) (hooks.RoQAnswer, error) {
			return hooks.RoQAnswer{UserID: "alice", CallID: "c", Sends: []hooks.RoQStream{{Flow: 1}}}, answer(ctx, r.ServerName)
		},
		Route: func(ctx context.Context, r hooks.RouteRequest) (bool, error) {
			return true, answer(ctx, r.UserID)
		},
		Push: func(ctx context.Context, r hooks.PushRequest) error {
			select { // a server that answers slowly
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
			}
			return ctx.Err()
		},
		Observe: func(e hooks.Event) {
			mu.Lock()
			seen[e.UserID]++
			mu.Unlock()
		},
		Volumes: func(v hooks.RoomVolumes) {
			mu.Lock()
			defer mu.Unlock()
			seen[v.CallID]++
		},
		Processor: func(hooks.TrackInfo) hooks.PCMHook {
			return func(pcm []int16) {
				for i := range pcm {
					pcm[i] /= 2
				}
			}
		},
		PathProcessor: func(w hooks.PathInfo) hooks.PCMHook {
			if w.Talker == w.Receiver {
				return nil
			}
			return func(pcm []int16) { clear(pcm) }
		},
		MixProcessor: func(hooks.ReceiverInfo) hooks.MixHook {
			return func(pcm []int16, channels int) {
				for i := 0; i < len(pcm); i += channels {
					pcm[i] = 0
				}
			}
		},
		Packet: func(tr hooks.TrackInfo) hooks.PacketHook {
			if tr.Video {
				return nil
			}
			return func(p []byte) bool {
				for i := 12; i < len(p); i++ {
					p[i] ^= 0x55
				}
				return p[len(p)-1] != 0
			}
		},
	}
}

func TestGoodPlugin(t *testing.T) {
	hookstest.Run(t, good)
	hookstest.RunPCM(t, func() hooks.PCMHook {
		return func(pcm []int16) {
			for i := range pcm {
				pcm[i] /= 2
			}
		}
	})
	hookstest.RunSignIn(t, func() hooks.SignInDecider {
		return func(ctx context.Context, r hooks.SignInRequest) (hooks.SignIn, error) {
			return hooks.SignIn{}, &hooks.Refusal{Code: hooks.CodeUserSigCheck, Message: "no"}
		}
	})
}

// Whatever is wrong with a plugin is found, and said.
func TestBadPluginsAreFound(t *testing.T) {
	member := func(f func(ctx context.Context, user string) error) func() hooks.Plugin {
		return func() hooks.Plugin {
			return hooks.Plugin{Name: "bad", Member: func(ctx context.Context, _, user string) error { return f(ctx, user) }}
		}
	}
	packet := func(f hooks.PacketHook) func() hooks.Plugin {
		return func() hooks.Plugin {
			return hooks.Plugin{Name: "bad", Packet: func(hooks.TrackInfo) hooks.PacketHook { return f }}
		}
	}
	var kept [][]byte
	for name, c := range map[string]struct {
		make func() hooks.Plugin
		want string
	}{
		"nameless": {func() hooks.Plugin { p := good(); p.Name = ""; return p }, "has no name"},
		"empty":    {func() hooks.Plugin { return hooks.Plugin{Name: "x"} }, "no function at all"},
		"panics on odd names": {member(func(_ context.Context, user string) error {
			if strings.Contains(user, "\x00") {
				panic("NUL")
			}
			return nil
		}), "panicked: NUL"},
		"panics on an empty list": {func() hooks.Plugin {
			return hooks.Plugin{Name: "bad", MayCall: func(_ context.Context, r hooks.CallRequest) error {
				_ = r.Callees[0]
				return nil
			}}
		}, "index out of range"},
		"late":             {member(func(context.Context, string) error { time.Sleep(3 * time.Second); return nil }), "did not return within 2s"},
		"ends a goroutine": {member(func(context.Context, string) error { runtime.Goexit(); return nil }), "ended its goroutine"},
		"deaf to its context": {member(func(ctx context.Context, _ string) error {
			if at, _ := ctx.Deadline(); time.Until(at) < time.Second {
				time.Sleep(1900 * time.Millisecond)
			}
			return nil
		}), "with a context that ends after 50ms"},
		"refuses with a nil": {member(func(context.Context, string) error { return (*hooks.Refusal)(nil) }), "nil *hooks.Refusal"},
		"refuses without a code": {member(func(context.Context, string) error {
			return &hooks.Refusal{Message: "no"}
		}), "refuses with code 0"},
		"refuses at length": {member(func(_ context.Context, user string) error {
			return &hooks.Refusal{Code: -1, Message: "no " + user}
		}), "bytes of words"},
		"panics when crowded": {func() hooks.Plugin {
			var mu sync.Mutex
			return hooks.Plugin{Name: "bad", Member: func(context.Context, string, string) error {
				if !mu.TryLock() {
					panic("one at a time, please")
				}
				defer mu.Unlock()
				time.Sleep(time.Millisecond)
				return nil
			}}
		}, "on eight goroutines at a time: panicked: one at a time"},
		"a flow that is none": {func() hooks.Plugin {
			return hooks.Plugin{Name: "bad", AdmitRoQ: func(context.Context, hooks.RoQRequest) (hooks.RoQAnswer, error) {
				return hooks.RoQAnswer{UserID: "u", CallID: "c", Audio: &hooks.RoQReceive{}}, nil
			}}
		}, "flow 0 to receive on"},
		"leaves goroutines": {member(func(context.Context, string) error {
			go time.Sleep(time.Hour)
			return nil
		}), "goroutines before"},
		"observer panics": {func() hooks.Plugin {
			return hooks.Plugin{Name: "bad", Observe: func(e hooks.Event) {
				if e.Users == nil {
					panic("nobody")
				}
			}}
		}, "panicked: nobody"},
		"observer hangs": {func() hooks.Plugin {
			return hooks.Plugin{Name: "bad", Observe: func(hooks.Event) { time.Sleep(time.Hour) }}
		}, "did not return within 2s"},
		"volumes of nobody": {func() hooks.Plugin {
			return hooks.Plugin{Name: "bad", Volumes: func(v hooks.RoomVolumes) { _ = v.Users[0] }}
		}, "index out of range"},
		"processor panics": {func() hooks.Plugin {
			return hooks.Plugin{Name: "bad", Processor: func(hooks.TrackInfo) hooks.PCMHook {
				return func(pcm []int16) { pcm[480] = 0 }
			}}
		}, "index out of range"},
		"processor is slow": {func() hooks.Plugin {
			return hooks.Plugin{Name: "bad", Processor: func(hooks.TrackInfo) hooks.PCMHook {
				return func([]int16) { time.Sleep(2 * time.Millisecond) }
			}}
		}, "took longer than 1ms, 25 times in a row"},
		"hook on a path panics": {func() hooks.Plugin {
			return hooks.Plugin{Name: "bad", PathProcessor: func(hooks.PathInfo) hooks.PCMHook {
				return func(pcm []int16) { pcm[480] = 0 }
			}}
		}, "index out of range"},
		"hook on a mix is not bound": {func() hooks.Plugin {
			return hooks.Plugin{Name: "bad", MixProcessor: func(hooks.ReceiverInfo) hooks.MixHook { panic("no") }}
		}, "asked for the sound"},
		"packet hook panics": {packet(func(p []byte) bool { return p[100] == 0 }), "index out of range"},
		"packet hook is not bound": {func() hooks.Plugin {
			return hooks.Plugin{Name: "bad", Packet: func(hooks.TrackInfo) hooks.PacketHook { panic("no") }}
		}, "asked for the track"},
		"packet hook changes the header": {packet(func(p []byte) bool { p[1] ^= 0x80; return true }), "changed the packet's header"},
		"packet hook appends": {packet(func(p []byte) bool {
			p = append(p, 1, 2, 3)
			return len(p) > 0
		}), "beyond the packet's end"},
		"packet hook is slow": {packet(func([]byte) bool { time.Sleep(2 * time.Millisecond); return true }), "took longer than 1ms, 25 times in a row"},
		"packet hook hangs":   {packet(func([]byte) bool { time.Sleep(time.Hour); return true }), "did not return"},
		"packet hook allocates": {packet(func(p []byte) bool {
			kept = append(kept[:0], make([]byte, len(p)))
			return true
		}), "allocates"},
	} {
		t.Run(name, func(t *testing.T) {
			if hookstest.RaceEnabled && name == "packet hook allocates" {
				t.Skip("the race detector allocates, too")
			}
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				hookstest.Run(f, c.make)
				if !found(f, c.want) {
					t.Errorf("found %.600q, want %q", f.found, c.want)
				}
				time.Sleep(2 * time.Hour) // virtual: what was left hanging ends
			})
		})
	}
}

func found(f *fake, want string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.found {
		if strings.Contains(s, want) {
			return true
		}
	}
	return false
}

func TestBadSignInIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		decide hooks.SignInDecider
		want   string
	}{
		"lets all in": {func(context.Context, hooks.SignInRequest) (hooks.SignIn, error) { return hooks.SignIn{}, nil }, `lets in who shows ""`},
		"lets one in": {func(_ context.Context, r hooks.SignInRequest) (hooks.SignIn, error) {
			if strings.HasPrefix(r.UserSig, "eyJhbGciOiJub25lIn0") { // {"alg":"none"}
				return hooks.SignIn{}, nil
			}
			return hooks.SignIn{}, errors.New("no")
		}, `lets in who shows "eyJhbGciOiJub25lIn0`},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			hookstest.RunSignIn(f, func() hooks.SignInDecider { return c.decide })
			if !found(f, c.want) {
				t.Errorf("found %.600q", f.found)
			}
		})
	}
}

func TestBadPCMHookIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		hook hooks.PCMHook
		want string
	}{
		"counts on 20 ms": {func(pcm []int16) { pcm[959] = 0 }, "index out of range"},
		"is slow":         {func([]int16) { time.Sleep(2 * time.Millisecond) }, "took longer than 1ms"},
		"divides by what is there": {func(pcm []int16) {
			for i := range pcm {
				pcm[i] = math.MaxInt16 / int16(len(pcm)/2)
			}
		}, "divide by zero"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				hookstest.RunPCM(f, func() hooks.PCMHook { return c.hook })
				if !found(f, c.want) {
					t.Errorf("found %.600q, want %q", f.found, c.want)
				}
			})
		})
	}
}
