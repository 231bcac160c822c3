package engine_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/callmessage"
	"github.com/earshotrtc/earshot/hooks"
)

// chat is a plugin that writes down what a host would put into its chats.
type chat struct {
	mu    sync.Mutex
	lines []string
}

func (c *chat) plugin() hooks.Plugin {
	return hooks.Plugin{Name: "chat", Observe: func(e hooks.Event) {
		if e.Kind != hooks.EventCallMessage {
			return
		}
		line := "no call message: " + e.Text
		if m, err := callmessage.Parse(e.Text); err == nil && callmessage.IsCallingData(e.Text) {
			line = fmt.Sprintf("%v by %s of %s %v %v", m.Kind, m.By(), m.Inviter, m.Invitees, m.Duration)
			if m.Kind == callmessage.Dial && m.Timeout != 30*time.Second {
				line += fmt.Sprintf(", rings %v", m.Timeout)
			}
		}
		c.mu.Lock()
		c.lines = append(c.lines, line)
		c.mu.Unlock()
	}}
}

func (c *chat) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.lines, want) {
		t.Errorf("messages:\n got %q\nwant %q", c.lines, want)
	}
	c.lines = nil
}

func TestCallMessages(t *testing.T) {
	var log chat
	two(t, func(c *engine.ServerConfig) { c.Plugins = []hooks.Plugin{log.plugin()} },
		func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder) {
			ctx := t.Context()
			carol, _ := dial(t, srv, "carol", nil)
			ring := func(media hooks.MediaType) {
				must(t, alice.Call(ctx, "bob", media))
				synctest.Wait()
			}
			ring(hooks.MediaVideo)
			must(t, bob.Accept(ctx))
			must(t, carol.Call(ctx, "bob", hooks.MediaAudio))
			time.Sleep(65 * time.Second) // virtual
			must(t, bob.SwitchMedia(ctx, hooks.MediaAudio))
			must(t, bob.Hangup(ctx))
			log.want(t,
				"dial by alice of alice [bob] 0s", "accept by bob of alice [bob] 0s",
				"dial by carol of carol [bob] 0s", "line busy by bob of carol [bob] 0s",
				"switch by bob of bob [] 0s", "hangup by bob of bob [] 1m5s")
			ring(hooks.MediaAudio)
			must(t, bob.Reject(ctx))
			log.want(t, "dial by alice of alice [bob] 0s", "reject by bob of alice [bob] 0s")
			ring(hooks.MediaAudio)
			must(t, alice.Hangup(ctx))
			log.want(t, "dial by alice of alice [bob] 0s", "cancel by alice of alice [bob] 0s")
			ring(hooks.MediaAudio)
			time.Sleep(31 * time.Second) // virtual
			log.want(t, "dial by alice of alice [bob] 0s", "timeout by alice of alice [bob] 0s")
			ring(hooks.MediaAudio)
			must(t, bob.Ignore(ctx))
			log.want(t, "dial by alice of alice [bob] 0s", "line busy by bob of alice [bob] 0s")
			must(t, alice.Call(ctx, "bob", hooks.MediaAudio, engine.CallOptions{Timeout: 45 * time.Second}))
			synctest.Wait()
			must(t, alice.Hangup(ctx))
			log.want(t, "dial by alice of alice [bob] 0s, rings 45s", "cancel by alice of alice [bob] 0s")
		})
}

func TestRecentCalls(t *testing.T) {
	two(t, nil, func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		ctx := t.Context()
		call := func(from, to *engine.Client, answer func() error) {
			t.Helper()
			must(t, from.Call(ctx, to.UserID(), hooks.MediaAudio))
			synctest.Wait()
			must(t, answer())
			time.Sleep(time.Second) // virtual
		}
		talk := func() error {
			if err := bob.Accept(ctx); err != nil {
				return err
			}
			time.Sleep(10 * time.Second) // virtual
			return alice.Hangup(ctx)
		}
		call(alice, bob, talk)
		call(alice, bob, func() error { return bob.Reject(ctx) })
		call(alice, bob, func() error { return alice.Hangup(ctx) })
		call(bob, alice, func() error { time.Sleep(31 * time.Second); return nil })

		list := func(c *engine.Client, q engine.RecentQuery) (out []string) {
			for {
				page, next, err := c.RecentCalls(ctx, q)
				must(t, err)
				if len(page) > 3 && q.Limit == 3 {
					t.Errorf("a page of %d", len(page))
				}
				for _, r := range page {
					out = append(out, fmt.Sprintf("%d %s %v %v %v", r.Result, r.Inviter, r.UserIDs, r.Reason, r.Duration))
				}
				if next == "" {
					return out
				}
				q.After = next
			}
		}
		want := map[string][]string{
			"alice": {"1 bob [bob] no response 0s", "3 alice [bob] canceled 0s", "3 alice [bob] reject 0s", "3 alice [bob] hangup 10s"},
			"bob":   {"3 bob [alice] no response 0s", "1 alice [alice] canceled 0s", "2 alice [alice] reject 0s", "2 alice [alice] hangup 10s"},
		}
		for _, c := range []*engine.Client{alice, bob} {
			for _, limit := range []int{0, 1, 3} {
				if got := list(c, engine.RecentQuery{Limit: limit}); !slices.Equal(got, want[c.UserID()]) {
					t.Errorf("%s, %d a page:\n got %q\nwant %q", c.UserID(), limit, got, want[c.UserID()])
				}
			}
		}
		if got := list(bob, engine.RecentQuery{Result: hooks.RecordMissed}); len(got) != 1 {
			t.Errorf("bob missed %q", got)
		}
		if _, _, err := bob.RecentCalls(ctx, engine.RecentQuery{After: "nonsense!"}); err == nil {
			t.Error("a cursor that is none was taken")
		}
	})
}
