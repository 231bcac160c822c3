// Package recordstest is what every records.Store must do, as tests. A host
// that writes its own store runs them against it:
//
//	func TestStore(t *testing.T) {
//		recordstest.Run(t, func(t *testing.T) records.Store { return mystore.Open(t.TempDir()) })
//	}
package recordstest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/engine/records"
	"github.com/earshotrtc/earshot/hooks"
)

// Day is when the first call of the tests began.
var Day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Record makes alice's n-th record: every third one missed, the others
// incoming and outgoing by turns, a minute apart, the last one the newest.
func Record(n int) records.Record {
	began := Day.Add(time.Duration(n) * time.Minute)
	r := records.Record{
		CallID: fmt.Sprintf("call-%03d", n), UserID: "alice", Inviter: "bob", Users: []string{"bob", "carol"},
		Group: true, GroupID: "raid", Media: hooks.MediaVideo,
		Began: began, Ended: began.Add(45*time.Second + 1),
	}
	switch n % 3 {
	case 0:
		r.Result, r.Reason = hooks.RecordMissed, hooks.EndNoResponse
	case 1:
		r.Result, r.Reason, r.Duration = hooks.RecordIncoming, hooks.EndHangup, 30*time.Second
	case 2:
		r.Result, r.Reason, r.Duration, r.Inviter = hooks.RecordOutgoing, hooks.EndHangup, 31*time.Second, "alice"
	}
	return r
}

// Run runs the suite. open makes an empty store that keeps at least 200
// records of a user; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) records.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *tester)
	}{
		{"RoundTrip", roundTrip}, {"Order", order}, {"Filter", filter}, {"Pages", pages},
		{"PagesWhileAdding", pagesWhileAdding}, {"Replace", replace}, {"Users", users}, {"Delete", remove},
		{"Invalid", invalid}, {"Ownership", ownership}, {"Context", contexts}, {"Closed", closed},
		{"Concurrent", concurrent},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &tester{t, open(t)}
			defer s.Close()
			c.test(t, s)
		})
	}
}

type tester struct {
	t *testing.T
	records.Store
}

func (s *tester) add(list ...records.Record) {
	s.t.Helper()
	if err := s.Add(s.t.Context(), list...); err != nil {
		s.t.Fatalf("Add: %v", err)
	}
}

func (s *tester) recent(user string, q records.Query) ([]records.Record, records.Cursor) {
	s.t.Helper()
	page, next, err := s.Recent(s.t.Context(), user, q)
	if err != nil {
		s.t.Fatalf("Recent: %v", err)
	}
	return page, next
}

// all reads page after page.
func (s *tester) all(user string, q records.Query) (list []records.Record) {
	s.t.Helper()
	for range 1000 {
		page, next := s.recent(user, q)
		list = append(list, page...)
		if next == "" {
			return list
		}
		if len(page) == 0 {
			s.t.Fatal("an empty page, and another after it")
		}
		q.From = next
	}
	s.t.Fatal("the pages do not end")
	return nil
}

// want compares call IDs.
func (s *tester) want(list []records.Record, numbers ...int) {
	s.t.Helper()
	var got, want []string
	for _, r := range list {
		got = append(got, r.CallID)
	}
	for _, n := range numbers {
		want = append(want, Record(n).CallID)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("got %v, want %v", got, want)
	}
}

func roundTrip(t *testing.T, s *tester) {
	if page, next := s.recent("alice", records.Query{}); len(page) != 0 || next != "" {
		t.Fatalf("an empty store has %v, %q", page, next)
	}
	full := Record(1)
	full.Began = full.Began.In(time.FixedZone("somewhere", 3600)).Add(123456789)
	full.Ended = full.Ended.Add(time.Hour)
	lean := records.Record{CallID: "x", UserID: "bob", Began: time.Unix(0, 1), Ended: time.Unix(0, 1)}
	odd := records.Record{CallID: " \x01é\u2028", UserID: "a'b%_", Inviter: "<&>", Users: []string{"\\", ""},
		Began: Day, Ended: Day}
	s.add(full, lean, odd)
	for _, want := range []records.Record{full, lean, odd} {
		page, _ := s.recent(want.UserID, records.Query{})
		if len(page) != 1 {
			t.Errorf("%q has %d records", want.UserID, len(page))
			continue
		}
		got := page[0]
		if got.Began.Location() != time.UTC || !got.Began.Equal(want.Began) || !got.Ended.Equal(want.Ended) {
			t.Errorf("times %v to %v, want %v to %v in UTC", got.Began, got.Ended, want.Began, want.Ended)
		}
		if got, want := fmt.Sprintf("%q", list(got)), fmt.Sprintf("%q", list(want)); got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
}

// list is all of a record but its times.
func list(r records.Record) []string {
	return append([]string{r.CallID, r.UserID, r.Inviter, r.GroupID, fmt.Sprint(r.Group, r.Media, r.Result, r.Reason, r.Duration)}, r.Users...)
}

func order(t *testing.T, s *tester) {
	for _, n := range rand.Perm(30) {
		s.add(Record(n))
	}
	same := Record(29)
	same.CallID = "call-028b" // the same instant as 29: by ID, before it
	s.add(same)
	got := s.all("alice", records.Query{Limit: 7})
	if len(got) != 31 || got[0].CallID != "call-028b" || got[1].CallID != "call-029" || got[30].CallID != "call-000" {
		t.Fatalf("%v", got)
	}
	if !slices.IsSortedFunc(got, records.Record.Compare) {
		t.Error("not the newest first")
	}
}

func filter(t *testing.T, s *tester) {
	for n := range 9 {
		s.add(Record(n))
	}
	at := func(n int) time.Time { return Record(n).Began }
	for _, tt := range []struct {
		name string
		q    records.Query
		want []int
	}{
		{"all", records.Query{}, []int{8, 7, 6, 5, 4, 3, 2, 1, 0}},
		{"missed", records.Query{Result: hooks.RecordMissed}, []int{6, 3, 0}},
		{"incoming", records.Query{Result: hooks.RecordIncoming}, []int{7, 4, 1}},
		{"outgoing", records.Query{Result: hooks.RecordOutgoing}, []int{8, 5, 2}},
		{"since", records.Query{Since: at(6)}, []int{8, 7, 6}},
		{"until", records.Query{Until: at(2)}, []int{1, 0}},
		{"between", records.Query{Since: at(3).Add(1), Until: at(5).Add(1)}, []int{5, 4}},
		{"nothing between", records.Query{Since: at(5), Until: at(5)}, nil},
		{"the wrong way round", records.Query{Since: at(5), Until: at(2)}, nil},
		{"missed since", records.Query{Result: hooks.RecordMissed, Since: at(1)}, []int{6, 3}},
		{"a time before time", records.Query{Since: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), Until: at(1)}, []int{0}},
		{"a time after time", records.Query{Since: at(8), Until: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, []int{8}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			(&tester{t, s.Store}).want(s.all("alice", tt.q), tt.want...)
			tt.q.Limit = 1
			(&tester{t, s.Store}).want(s.all("alice", tt.q), tt.want...)
		})
	}
}

func pages(t *testing.T, s *tester) {
	for n := range 100 {
		s.add(Record(n))
	}
	page, next := s.recent("alice", records.Query{})
	if len(page) != records.DefaultPage || next == "" {
		t.Errorf("a page of %d, then %q", len(page), next)
	}
	page, next = s.recent("alice", records.Query{Limit: 100})
	if len(page) != 100 || next != "" {
		t.Errorf("a page of %d of 100, then %q", len(page), next)
	}
	page, next = s.recent("alice", records.Query{Limit: 99})
	if len(page) != 99 || next == "" {
		t.Errorf("a page of %d of 100, then %q", len(page), next)
	}
	page, next = s.recent("alice", records.Query{From: next})
	if s.want(page, 0); next != "" {
		t.Errorf("after the last page comes %q", next)
	}
	for n := 100; n < 200; n++ {
		s.add(Record(n))
	}
	if page, _ := s.recent("alice", records.Query{Limit: 1 << 40}); len(page) != records.MaxPage {
		t.Errorf("a page of %d, want at most %d", len(page), records.MaxPage)
	}
	// A place that no record is at is one all the same.
	between := records.CursorAfter(records.Record{CallID: "zzz", Began: Day.Add(time.Second)})
	page, _ = s.recent("alice", records.Query{From: between})
	s.want(page, 0)
}

func pagesWhileAdding(t *testing.T, s *tester) {
	for n := range 20 {
		s.add(Record(2 * n)) // even ones
	}
	q := records.Query{Limit: 5}
	page, next := s.recent("alice", q)
	s.want(page, 38, 36, 34, 32, 30)
	s.add(Record(41), Record(40), Record(33)) // newer than where we are
	s.add(Record(27))                         // older: yet to come
	if err := s.Delete(t.Context(), "alice", Record(30).CallID, Record(26).CallID); err != nil {
		t.Fatal(err) // the very record that the page ended at
	}
	q.From = next
	page, _ = s.recent("alice", q)
	s.want(page, 28, 27, 24, 22, 20)
	s.want(s.all("alice", records.Query{Since: Record(30).Began}), 41, 40, 38, 36, 34, 33, 32)
}

func replace(t *testing.T, s *tester) {
	r := Record(1)
	s.add(r)
	r.Duration, r.Users = time.Hour, []string{"dave"}
	s.add(r)
	got := s.all("alice", records.Query{})
	if len(got) != 1 || got[0].Duration != time.Hour || !slices.Equal(got[0].Users, []string{"dave"}) {
		t.Errorf("%+v", got)
	}
	r.Began, r.Ended = r.Began.Add(time.Second), r.Ended.Add(time.Second) // left the call, and joined it again
	s.add(r)
	if got := s.all("alice", records.Query{}); len(got) != 2 {
		t.Errorf("%d records of two parts in a call", len(got))
	}
}

func users(t *testing.T, s *tester) {
	// IDs that begin alike, or could run into each other in a key.
	ids := []string{"a", "aa", "a'", "b", "", strings.Repeat("a", records.MaxID)}
	for i, id := range ids {
		if r := Record(i); id != "" {
			r.UserID = id
			s.add(r)
		}
	}
	for i, id := range ids {
		if got := s.all(id, records.Query{}); id == "" && len(got) != 0 {
			t.Errorf("nobody has %v", got)
		} else if id != "" {
			s.want(got, i)
		}
	}
	if got := s.all(strings.Repeat("a", records.MaxID+1), records.Query{}); len(got) != 0 {
		t.Errorf("an ID that is too long has %v", got)
	}
	if err := s.DeleteUser(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	s.want(s.all("a", records.Query{}))
	s.want(s.all("aa", records.Query{}), 1)
	s.want(s.all("a'", records.Query{}), 2)
}

func remove(t *testing.T, s *tester) {
	twice := Record(3)
	twice.Began, twice.Ended = twice.Began.Add(time.Second), twice.Ended.Add(time.Second)
	bobs := Record(3)
	bobs.UserID = "bob"
	s.add(Record(1), Record(2), Record(3), Record(4), twice, bobs)
	ctx := t.Context()
	for _, err := range []error{
		s.Delete(ctx, "alice"), s.Delete(ctx, "alice", "nothing", ""), s.Delete(ctx, "nobody", "call-001"),
		s.Delete(ctx, "alice", Record(3).CallID, Record(1).CallID, Record(1).CallID), s.DeleteUser(ctx, "nobody"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	s.want(s.all("alice", records.Query{}), 4, 2)
	s.want(s.all("bob", records.Query{}), 3) // theirs is theirs
	s.add(Record(3))
	s.want(s.all("alice", records.Query{}), 4, 3, 2)
}

func invalid(t *testing.T, s *tester) {
	for name, change := range map[string]func(*records.Record){
		"no call":          func(r *records.Record) { r.CallID = "" },
		"no user":          func(r *records.Record) { r.UserID = "" },
		"long call":        func(r *records.Record) { r.CallID = strings.Repeat("x", records.MaxID+1) },
		"long user":        func(r *records.Record) { r.UserID = strings.Repeat("x", records.MaxID+1) },
		"long inviter":     func(r *records.Record) { r.Inviter = strings.Repeat("x", records.MaxID+1) },
		"too many users":   func(r *records.Record) { r.Users = make([]string, records.MaxUsers+1) },
		"not UTF-8":        func(r *records.Record) { r.GroupID = "\xff" },
		"a zero byte":      func(r *records.Record) { r.Users = []string{"a\x00"} },
		"no beginning":     func(r *records.Record) { r.Began = time.Time{} },
		"no end":           func(r *records.Record) { r.Ended = time.Time{} },
		"end before begun": func(r *records.Record) { r.Ended = r.Began.Add(-1) },
		"far future":       func(r *records.Record) { r.Ended = time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"negative":         func(r *records.Record) { r.Duration = -1 },
	} {
		bad := Record(2)
		change(&bad)
		if err := s.Add(t.Context(), Record(1), bad); !errors.Is(err, records.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.want(s.all("alice", records.Query{})) // all or none
	for _, q := range []records.Query{{Limit: -1}, {From: "x"}, {From: "!!!!"}, {From: "AAAA"}, {From: records.Cursor(strings.Repeat("A", 5000))}} {
		if _, _, err := s.Recent(t.Context(), "alice", q); !errors.Is(err, records.ErrInvalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func ownership(t *testing.T, s *tester) {
	r := Record(1)
	s.add(r)
	r.Users[0] = "mallory"
	got := s.all("alice", records.Query{})
	if got[0].Users[0] != "bob" {
		t.Error("what was handed over is shared")
	}
	got[0].Users[0] = "mallory"
	if again := s.all("alice", records.Query{}); !reflect.DeepEqual(again[0], Record(1)) {
		t.Errorf("what was returned is shared: %+v", again[0])
	}
}

func contexts(t *testing.T, s *tester) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := s.Recent(ctx, "alice", records.Query{})
	for _, err := range []error{err, s.Add(ctx, Record(1)), s.Delete(ctx, "alice", "x"), s.DeleteUser(ctx, "alice")} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want that it was cancelled", err)
		}
	}
	s.want(s.all("alice", records.Query{}))
}

func closed(t *testing.T, s *tester) {
	s.add(Record(1))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	_, _, err := s.Recent(ctx, "alice", records.Query{})
	for _, err := range []error{err, s.Add(ctx, Record(1)), s.Delete(ctx, "alice", "x"), s.DeleteUser(ctx, "alice")} {
		if !errors.Is(err, records.ErrClosed) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, want ErrClosed", err)
		}
	}
}

func concurrent(t *testing.T, s *tester) {
	const writers, each = 8, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				r := Record(n*writers + w)
				bobs := r
				bobs.UserID = "bob"
				if err := s.Add(t.Context(), r, bobs); err != nil {
					t.Errorf("Add: %v", err)
				}
				page, _, err := s.Recent(t.Context(), "alice", records.Query{Limit: records.MaxPage})
				if err != nil || !slices.IsSortedFunc(page, records.Record.Compare) ||
					!slices.ContainsFunc(page, func(x records.Record) bool { return x.CallID == r.CallID }) {
					t.Errorf("Recent: %d records, %v", len(page), err)
				}
				if err := s.Delete(t.Context(), "bob", r.CallID); err != nil {
					t.Errorf("Delete: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if got := s.all("alice", records.Query{}); len(got) != writers*each {
		t.Errorf("%d records, want %d", len(got), writers*each)
	}
	if got := s.all("bob", records.Query{}); len(got) != 0 {
		t.Errorf("bob has %d records, want none", len(got))
	}
	// Closing in the middle of it all ends it, and breaks nothing.
	for range writers {
		wg.Go(func() {
			for n := range each {
				if err := s.Add(t.Context(), Record(n)); err != nil && !errors.Is(err, records.ErrClosed) {
					t.Errorf("Add beside Close: %v", err)
				}
			}
		})
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}
