package bolt_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/earshotrtc/earshot/engine/records"
	"github.com/earshotrtc/earshot/engine/records/bolt"
	"github.com/earshotrtc/earshot/engine/records/recordstest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("EARSHOT_CRASH_FILE"); path != "" {
		addForEver(path)
	}
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, cfg bolt.Config) *bolt.Store {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(t.TempDir(), "calls.db")
	}
	s, err := bolt.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func count(t *testing.T, s *bolt.Store, user string) (n int, oldest string) {
	t.Helper()
	q := records.Query{Limit: records.MaxPage}
	for {
		page, next, err := s.Recent(t.Context(), user, q)
		if err != nil {
			t.Fatal(err)
		}
		n += len(page)
		if len(page) > 0 {
			oldest = page[len(page)-1].CallID
		}
		if next == "" {
			return n, oldest
		}
		q.From = next
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	recordstest.Run(t, func(t *testing.T) records.Store { return open(t, bolt.Config{}) })
}

func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.db")
	s := open(t, bolt.Config{Path: path})
	must(t, s.Add(t.Context(), recordstest.Record(1), recordstest.Record(2)))
	page, next, err := s.Recent(t.Context(), "alice", records.Query{Limit: 1})
	must(t, err)
	if len(page) != 1 || next == "" {
		t.Fatal(page, next)
	}
	must(t, s.Close())

	s = open(t, bolt.Config{Path: path})
	page, next, err = s.Recent(t.Context(), "alice", records.Query{From: next}) // a page that a client was on
	if err != nil || len(page) != 1 || page[0].CallID != recordstest.Record(1).CallID || next != "" {
		t.Errorf("after a restart: %v, %q, %v", page, next, err)
	}
}

// addForEver is the other process of TestCrash: it says what is safe, and is
// killed in the middle of it.
func addForEver(path string) {
	s, err := bolt.Open(bolt.Config{Path: path})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for n := range 100000 {
		r := recordstest.Record(n % 900)
		r.CallID = fmt.Sprint("call-", n)
		r.Users = make([]string, 100) // several pages a commit
		bobs := r
		bobs.UserID = "bob"
		if err := s.Add(context.Background(), r, bobs); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("safe", n)
	}
}

func TestCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.db")
	safe := -1
	for round := range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "EARSHOT_CRASH_FILE="+path)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		safe = -1
		for until := 20 + rand.IntN(40); lines.Scan(); {
			if _, err := fmt.Sscanf(lines.Text(), "safe %d", &safe); err != nil {
				t.Fatalf("round %d: %s", round, lines.Text())
			}
			if safe == until {
				cmd.Process.Kill() // and read what it said before that reached it
			}
		}
		cmd.Wait()
		if safe < 20 {
			t.Fatalf("round %d: the other process ended at %d", round, safe)
		}

		s := open(t, bolt.Config{Path: path})
		for _, user := range []string{"alice", "bob"} {
			n, _ := count(t, s, user)
			have := map[string]bool{}
			q := records.Query{Limit: records.MaxPage}
			page, _, err := s.Recent(t.Context(), user, q)
			must(t, err)
			for _, r := range page {
				have[r.CallID] = true
			}
			for i := range safe + 1 {
				if !have[fmt.Sprint("call-", i)] {
					t.Errorf("round %d: %s lost call-%d of %d that were safe", round, user, i, safe)
				}
			}
			if n > safe+2 {
				t.Errorf("round %d: %s has %d records of %d", round, user, n, safe+1)
			}
		}
		must(t, s.DeleteUser(t.Context(), "alice"))
		must(t, s.DeleteUser(t.Context(), "bob"))
		must(t, s.Close())
	}
}

func TestBoundedPerUser(t *testing.T) {
	s := open(t, bolt.Config{MaxPerUser: 5})
	for _, user := range []string{"alice", "zoe"} { // zoe's are the last in the file
		var list []records.Record
		for n := range 12 {
			r := recordstest.Record(n)
			r.UserID = user
			list = append(list, r)
		}
		must(t, s.Add(t.Context(), list...))
		must(t, s.Add(t.Context(), list[0])) // too old to be worth a place
		if n, oldest := count(t, s, user); n != 5 || oldest != "call-007" {
			t.Errorf("%s has %d records down to %s, want 5 down to call-007", user, n, oldest)
		}
		must(t, s.Delete(t.Context(), user, "call-010"))
		must(t, s.Add(t.Context(), list[3])) // now there is room
		if n, oldest := count(t, s, user); n != 5 || oldest != "call-003" {
			t.Errorf("%s has %d records down to %s, want 5 down to call-003", user, n, oldest)
		}
	}
}

func TestBoundedInAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.db")
	s := open(t, bolt.Config{Path: path, MaxBytes: 64 << 10})
	var peak int64
	for n := range 100 {
		var list []records.Record
		for i := range 20 {
			r := recordstest.Record(20*n + i)
			r.UserID = fmt.Sprint("user-", i)
			list = append(list, r)
		}
		must(t, s.Add(t.Context(), list...))
		info, err := os.Stat(path)
		must(t, err)
		peak = max(peak, info.Size())
	}
	must(t, s.Close())
	s = open(t, bolt.Config{Path: path, MaxBytes: 64 << 10}) // full of holes, and whole
	total := 0
	for i := range 20 {
		n, _ := count(t, s, fmt.Sprint("user-", i))
		total += n
	}
	if total < 200 || total > 450 {
		t.Errorf("%d records in 64 KiB", total)
	}
	if page, _, err := s.Recent(t.Context(), "user-0", records.Query{}); err != nil || len(page) == 0 || page[0].CallID != "call-1980" {
		t.Errorf("the newest is gone: %v, %v", page, err)
	}
	t.Logf("%d records, %d KiB at the most", total, peak>>10)
	if peak > 512<<10 {
		t.Errorf("the file grew to %d KiB", peak>>10)
	}
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.db")
	first := open(t, bolt.Config{Path: path})
	if _, err := bolt.Open(bolt.Config{Path: path, LockTimeout: time.Millisecond}); !errors.Is(err, bolt.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("opened twice: %v", err)
	}
	must(t, first.Add(t.Context(), recordstest.Record(1)))
}

func TestOpenErrors(t *testing.T) {
	if _, err := bolt.Open(bolt.Config{}); err == nil || !strings.Contains(err.Error(), "Path") {
		t.Errorf("no path: %v", err)
	}
	if _, err := bolt.Open(bolt.Config{Path: filepath.Join(t.TempDir(), "no", "such", "dir")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := bolt.Open(bolt.Config{Path: t.TempDir()}); err == nil || errors.Is(err, records.ErrCorrupt) {
		t.Errorf("a directory: %v", err)
	}
	other := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(other, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err }))
	must(t, db.Close())
	if _, err := bolt.Open(bolt.Config{Path: other}); !errors.Is(err, records.ErrCorrupt) || !strings.Contains(err.Error(), "not one of call records") {
		t.Errorf("another program's file: %v", err)
	}
	db, err = bbolt.Open(other, 0o600, nil)
	must(t, err)
	defer db.Close()
	must(t, db.View(func(tx *bbolt.Tx) error {
		if tx.Bucket([]byte("meta")) != nil {
			t.Error("another program's file was changed")
		}
		return nil
	}))
}

// filled makes a file with a few hundred records, and returns what is in it.
func filled(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "calls.db")
	s := open(t, bolt.Config{Path: path})
	for n := 0; n < 400; n += 100 {
		var list []records.Record
		for i := range 100 {
			list = append(list, recordstest.Record(n+i))
		}
		must(t, s.Add(t.Context(), list...))
	}
	must(t, s.Close())
	data, err := os.ReadFile(path)
	must(t, err)
	return data
}

// try does all that a store does with a file that may be broken. What matters
// is that the process lives on, and that no error is of another kind.
func try(t *testing.T, data []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "calls.db")
	must(t, os.WriteFile(path, data, 0o600))
	s, err := bolt.Open(bolt.Config{Path: path})
	if err != nil {
		return err
	}
	q := records.Query{Limit: records.MaxPage}
	for range 10 {
		_, next, e := s.Recent(t.Context(), "alice", q)
		if err = errors.Join(err, e); e != nil || next == "" {
			break
		}
		q.From = next
	}
	err = errors.Join(err, s.Add(t.Context(), recordstest.Record(500)),
		s.Delete(t.Context(), "alice", "call-007"), s.DeleteUser(t.Context(), "alice"), s.Close())
	if s, e := bolt.Open(bolt.Config{Path: path}); e == nil { // the lock is gone
		s.Close()
	} else if errors.Is(e, bolt.ErrLocked) {
		t.Error("a broken file stays locked")
	}
	return err
}

// circle makes a branch of the tree grow out of itself.
func circle(good []byte, page int) []byte {
	data := append([]byte(nil), good...)
	for at := 2 * page; at < len(data); at += page {
		if binary.NativeEndian.Uint16(data[at+8:]) == 1 { // a branch: its first element's page
			binary.NativeEndian.PutUint64(data[at+16+8:], uint64(at/page))
		}
	}
	return data
}

func TestCorrupt(t *testing.T) {
	good := filled(t)
	if err := try(t, good); err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	for name, data := range map[string][]byte{
		"text":               []byte("these are not the records you are looking for"),
		"long text":          []byte(strings.Repeat("these are not the records you are looking for\n", 5000)),
		"zeros":              make([]byte, 8*page),
		"one byte":           good[:1],
		"metas alone":        good[:2*page],
		"half":               good[:len(good)/2],
		"one page less":      good[:len(good)-page],
		"metas and text":     append(good[:2*page:2*page], strings.Repeat("oops", len(good)/4-page/2)...),
		"a tree in a circle": circle(good, page),
		"zeros inside":       append(good[:2*page:2*page], make([]byte, len(good)-2*page)...),
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			err := try(t, data)
			if name == "one page less" && err == nil {
				return // a page that was not in use
			}
			if !errors.Is(err, records.ErrCorrupt) {
				t.Errorf("%v, want ErrCorrupt", err)
			}
			t.Log(err)
		})
	}
}

// Bits that fall over, wherever: an error or not, but the process lives on.
func TestBitRot(t *testing.T) {
	good := filled(t)
	const rounds = 60
	found, page := 0, os.Getpagesize()
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		data := append([]byte(nil), good...)
		for range rng.IntN(1 + round%20) {
			data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
		}
		for range rng.IntN(3) { // what steers bbolt stands at the head of a page
			at := rng.IntN(len(data)/page)*page + rng.IntN(64)
			data[at] ^= 1 << rng.IntN(8)
		}
		if err := try(t, data); errors.Is(err, records.ErrCorrupt) {
			found++
		} else if err != nil {
			t.Errorf("an error that is not ErrCorrupt: %v", err)
		}
	}
	t.Logf("%d of %d files were found to be broken", found, rounds)
	if found == 0 {
		t.Error("nothing was ever found")
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, parallel := range []int{1, 64} {
		b.Run(fmt.Sprint("callers=", parallel), func(b *testing.B) {
			s := open(b, bolt.Config{})
			b.ReportAllocs()
			b.SetParallelism(parallel)
			if parallel == 1 {
				for n := 0; b.Loop(); n++ {
					must(b, s.Add(b.Context(), recordstest.Record(n)))
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := s.Add(b.Context(), recordstest.Record(rand.IntN(100000))); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
