// Package bolt keeps call records in a file, by bbolt, so that they survive a
// restart and a crash.
//
//	store, err := bolt.Open(bolt.Config{Path: "calls.db"})
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//
// What Add has returned for is on the disk. Records that are added at the same
// time share one write to it. One process at a time may have the file open.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/earshotrtc/earshot/engine/records"
)

// ErrLocked: another process, or another Store of this one, has the file open.
var ErrLocked = errors.New("records/bolt: the file is in use")

// Config says where the records are, and how many. Path must be set.
type Config struct {
	// Path is the file. It is made, readable to its owner alone, if it is not
	// there; its directory is not made.
	Path string
	// MaxPerUser is how many records of one user are kept; the oldest go
	// first. Default 1000.
	MaxPerUser int
	// MaxBytes is about how much of the file all records may fill; those that
	// were added first go first. The file itself may be up to three times as
	// large, since its pages are not always full. Default 256 MiB, which holds
	// about a million records of one-to-one calls.
	MaxBytes int64
	// LockTimeout is how long Open waits for another that has the file open.
	// Default 1 s.
	LockTimeout time.Duration
}

// A Store is a records.Store in a file.
type Store struct {
	path       string
	maxPerUser uint64
	maxBytes   int64
	db         *bbolt.DB
	file       *os.File

	// broken is set for good when reading or writing the file has panicked:
	// what bbolt holds in memory is not to be trusted then.
	broken atomic.Pointer[error]

	mu     sync.Mutex
	closed bool
	busy   sync.WaitGroup // what was begun before closed was set
	queue  []*write
	leads  bool // somebody is writing

	closing  sync.Once
	closeErr error
}

var _ records.Store = (*Store)(nil)

// Open opens the file, or makes it, and looks through it once, which takes
// about 1.5 ms for each MiB. Its errors are ErrLocked,
// records.ErrCorrupt for what is no file of records or is broken, and those of
// the file system.
func Open(cfg Config) (*Store, error) {
	if cfg.Path == "" {
		return nil, errors.New("records/bolt: Config.Path is empty")
	}
	s := &Store{path: cfg.Path, maxPerUser: 1000, maxBytes: 256 << 20}
	if cfg.MaxPerUser > 0 {
		s.maxPerUser = uint64(cfg.MaxPerUser)
	}
	if cfg.MaxBytes > 0 {
		s.maxBytes = cfg.MaxBytes
	}
	if cfg.LockTimeout <= 0 {
		cfg.LockTimeout = time.Second
	}
	err := s.guard(func() (err error) {
		s.db, err = bbolt.Open(cfg.Path, 0o600, &bbolt.Options{
			Timeout:      cfg.LockTimeout,
			FreelistType: bbolt.FreelistMapType,
			OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
				f, err := os.OpenFile(name, flag, perm)
				s.file = f
				return f, err
			},
		})
		if err != nil {
			return openError(cfg.Path, err)
		}
		if err := s.verify(); err != nil {
			return err
		}
		return s.prepare()
	})
	if err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

func openError(path string, err error) error {
	var (
		file  *fs.PathError
		errno syscall.Errno
	)
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%w: %s", ErrLocked, path)
	case errors.As(err, &file), errors.As(err, &errno):
		return fmt.Errorf("records/bolt: %w", err)
	}
	return fmt.Errorf("%w: %s is no file of call records, or is broken: %w", records.ErrCorrupt, path, err)
}

// guard runs what touches the file. bbolt maps it into memory and trusts what
// it finds there: when that breaks while the file is open (verify looks at it
// before) it panics, and when the file is cut short the memory is not there.
// Both become errors here.
func (s *Store) guard(f func() error) (err error) {
	if p := s.broken.Load(); p != nil {
		return *p
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %s: %v", records.ErrCorrupt, s.path, p)
			s.broken.Store(&err)
		}
	}()
	return f()
}

// release gives the file back. After a panic bbolt may hold its own locks for
// ever, so only the file is unlocked and closed then; the mapping stays until
// the process ends.
func (s *Store) release() error {
	if s.broken.Load() == nil && s.db != nil {
		return s.db.Close()
	}
	if s.file != nil {
		unlock(s.file)
		s.file.Close()
	}
	return nil
}

// begin counts a use of the store in, unless it is closed. end must follow.
func (s *Store) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return records.ErrClosed
	}
	s.busy.Add(1)
	return nil
}

// Close waits for what was begun, and closes the file.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.busy.Wait()
		s.closeErr = s.release()
	})
	return s.closeErr
}

// Add keeps records: they are on the disk when it returns nil. Once it has
// begun, a context that ends does not stop it.
func (s *Store) Add(ctx context.Context, list ...records.Record) error {
	for _, r := range list {
		if err := r.Check(); err != nil {
			return err
		}
	}
	return s.write(ctx, func(t *table) error {
		for _, r := range list {
			if err := t.add(r, s.maxPerUser); err != nil {
				return err
			}
		}
		return t.shrink(s.maxBytes)
	})
}

// Delete takes away a user's records of some calls.
func (s *Store) Delete(ctx context.Context, userID string, callIDs ...string) error {
	gone := make(map[string]bool, len(callIDs))
	for _, id := range callIDs {
		gone[id] = true
	}
	return s.delete(ctx, userID, func(callID string) bool { return gone[callID] })
}

// DeleteUser takes away all of a user's records.
func (s *Store) DeleteUser(ctx context.Context, userID string) error {
	return s.delete(ctx, userID, func(string) bool { return true })
}

func (s *Store) delete(ctx context.Context, userID string, which func(callID string) bool) error {
	if len(userID) > records.MaxID {
		userID = "" // nobody's
	}
	return s.write(ctx, func(t *table) error { return t.delete(userID, which) })
}

// Recent returns a page of a user's records.
func (s *Store) Recent(ctx context.Context, userID string, q records.Query) (page []records.Record, next records.Cursor, err error) {
	if q, err = q.WithDefaults(); err != nil {
		return nil, "", err
	}
	if err := s.begin(ctx); err != nil {
		return nil, "", err
	}
	defer s.busy.Done()
	if userID == "" || len(userID) > records.MaxID {
		return nil, "", nil
	}
	err = s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) (err error) {
			page, next, err = recent(tx, userID, q)
			return err
		})
	})
	if err != nil {
		return nil, "", err
	}
	return page, next, nil
}
