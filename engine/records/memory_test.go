package records_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/engine/records"
	"github.com/earshotrtc/earshot/engine/records/recordstest"
	"github.com/earshotrtc/earshot/hooks"
)

func TestMemory(t *testing.T) {
	recordstest.Run(t, func(*testing.T) records.Store {
		return records.NewMemory(records.MemoryConfig{MaxPerUser: 1000})
	})
}

func count(t *testing.T, m *records.Memory, user string) (n int, oldest records.Record) {
	t.Helper()
	page, next, err := m.Recent(t.Context(), user, records.Query{Limit: records.MaxPage})
	if err != nil || next != "" || len(page) == 0 {
		t.Fatalf("%s has %d records, then %q, %v", user, len(page), next, err)
	}
	return len(page), page[len(page)-1]
}

// A server that runs for ever keeps the newest of each user.
func TestMemoryIsBoundedPerUser(t *testing.T) {
	m := records.NewMemory(records.MemoryConfig{})
	for n := range 250 {
		if err := m.Add(t.Context(), recordstest.Record(n)); err != nil {
			t.Fatal(err)
		}
	}
	if n, oldest := count(t, m, "alice"); n != 100 || oldest.CallID != "call-150" {
		t.Errorf("%d records down to %s, want 100 down to call-150", n, oldest.CallID)
	}
	// One that is older than all others is not worth a place.
	if err := m.Add(t.Context(), recordstest.Record(3)); err != nil {
		t.Fatal(err)
	}
	if n, oldest := count(t, m, "alice"); n != 100 || oldest.CallID != "call-150" {
		t.Errorf("%d records down to %s after an old one", n, oldest.CallID)
	}
}

func TestMemoryIsBoundedInAll(t *testing.T) {
	size := recordstest.Record(0).Size()
	m := records.NewMemory(records.MemoryConfig{MaxBytes: 10 * size})
	for n := range 15 {
		r := recordstest.Record(n)
		r.UserID, r.Inviter = fmt.Sprintf("us-%02d", n), "bob" // as long as the first
		if err := m.Add(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 15 {
		page, _, err := m.Recent(t.Context(), fmt.Sprintf("us-%02d", n), records.Query{})
		if want := n >= 5; err != nil || len(page) == 1 != want {
			t.Errorf("user %d: %d records, %v", n, len(page), err)
		}
	}
	huge := recordstest.Record(99)
	huge.Users = make([]string, records.MaxUsers)
	if err := m.Add(t.Context(), huge, recordstest.Record(98)); err != nil {
		t.Fatal(err)
	}
	if n, oldest := count(t, m, "alice"); n != 1 || oldest.CallID != "call-098" {
		t.Errorf("a record larger than all that may be: %d records, %s", n, oldest.CallID)
	}
}

// What Size says is about what a record takes.
func TestSize(t *testing.T) {
	const n = 20000
	var before, after runtime.MemStats
	m := records.NewMemory(records.MemoryConfig{})
	runtime.GC()
	runtime.ReadMemStats(&before)
	said := 0
	for i := range n {
		r := records.Record{
			CallID: fmt.Sprintf("0123456789abcdef%016d", i), UserID: fmt.Sprintf("user-%d", i/20), Inviter: "someone",
			Users: []string{"someone"}, Media: hooks.MediaAudio,
			Began: recordstest.Day.Add(time.Duration(i) * time.Second), Ended: recordstest.Day.Add(n * time.Second),
		}
		said += r.Size()
		if err := m.Add(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	took := int(after.HeapAlloc) - int(before.HeapAlloc)
	t.Logf("%d bytes a record, Size says %d", took/n, said/n)
	if took > said*3/2 || took < said/2 {
		t.Errorf("%d records take %d bytes, Size says %d", n, took, said)
	}
	runtime.KeepAlive(m)
}

func FuzzCursor(f *testing.F) {
	f.Add(string(records.CursorAfter(recordstest.Record(1))))
	f.Add("AAAAAAAAAAB4")
	f.Add("gAAAAAAAAAB4")
	f.Fuzz(func(t *testing.T, s string) {
		began, id, err := records.Cursor(s).Position()
		if err != nil {
			return
		}
		again, id2, err := records.CursorAfter(records.Record{CallID: id, Began: began}).Position()
		if err != nil || !again.Equal(began) || id2 != id {
			t.Fatalf("%v %q, then %v %q, %v", began, id, again, id2, err)
		}
	})
}

func BenchmarkMemory(b *testing.B) {
	m := records.NewMemory(records.MemoryConfig{})
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		r := recordstest.Record(i)
		i++
		if err := m.Add(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
