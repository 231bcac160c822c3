package records

import (
	"container/list"
	"context"
	"slices"
	"sync"
)

// MemoryConfig bounds a Memory.
type MemoryConfig struct {
	// MaxPerUser is how many records of one user are kept; the oldest go
	// first. Default 100.
	MaxPerUser int
	// MaxBytes is about how much memory all records may take together, as
	// Record.Size counts; those that were added first go first. Default 32 MiB, which holds
	// about 100,000 records of one-to-one calls.
	MaxBytes int
}

// Memory is a Store in memory. It never grows beyond its bounds, and is empty
// after a restart.
type Memory struct {
	maxPerUser, maxBytes int

	mu     sync.Mutex
	closed bool
	bytes  int
	users  map[string][]*entry // each in the order of Compare
	age    list.List           // of *entry, the one added first in front
}

type entry struct {
	Record
	age *list.Element
}

var _ Store = (*Memory)(nil)

// NewMemory makes an empty store.
func NewMemory(cfg MemoryConfig) *Memory {
	m := &Memory{maxPerUser: cfg.MaxPerUser, maxBytes: cfg.MaxBytes, users: make(map[string][]*entry)}
	if m.maxPerUser <= 0 {
		m.maxPerUser = 100
	}
	if m.maxBytes <= 0 {
		m.maxBytes = 32 << 20
	}
	return m
}

func (m *Memory) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return ErrClosed
	}
	return nil
}

func compare(e *entry, r Record) int { return e.Compare(r) }

// Add keeps records.
func (m *Memory) Add(ctx context.Context, records ...Record) error {
	for _, r := range records {
		if err := r.Check(); err != nil {
			return err
		}
	}
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for _, r := range records {
		m.add(r.Clone())
	}
	for m.bytes > m.maxBytes {
		m.remove(m.age.Front().Value.(*entry))
	}
	return nil
}

func (m *Memory) add(r Record) {
	of := m.users[r.UserID]
	i, found := slices.BinarySearchFunc(of, r, compare)
	if found {
		m.remove(of[i])
		of = m.users[r.UserID]
	}
	e := &entry{Record: r}
	e.age = m.age.PushBack(e)
	m.bytes += r.Size()
	of = slices.Insert(of, i, e)
	m.users[r.UserID] = of
	if len(of) > m.maxPerUser {
		m.remove(of[len(of)-1])
	}
}

func (m *Memory) remove(e *entry) {
	of := m.users[e.UserID]
	if i, found := slices.BinarySearchFunc(of, e.Record, compare); found {
		of = slices.Delete(of, i, i+1)
	}
	if len(of) == 0 {
		delete(m.users, e.UserID)
	} else {
		m.users[e.UserID] = of
	}
	m.age.Remove(e.age)
	m.bytes -= e.Size()
}

// Recent returns a page of a user's records.
func (m *Memory) Recent(ctx context.Context, userID string, q Query) (page []Record, next Cursor, err error) {
	if q, err = q.WithDefaults(); err != nil {
		return nil, "", err
	}
	if err := m.lock(ctx); err != nil {
		return nil, "", err
	}
	defer m.mu.Unlock()
	of := m.users[userID]
	if q.From != "" {
		var last Record
		last.Began, last.CallID, _ = q.From.Position()
		i, found := slices.BinarySearchFunc(of, last, compare)
		if found {
			i++
		}
		of = of[i:]
	}
	for _, e := range of {
		if !q.Wants(e.Record) {
			continue
		}
		if len(page) == q.Limit {
			return page, CursorAfter(page[len(page)-1]), nil
		}
		page = append(page, e.Clone())
	}
	return page, "", nil
}

// Delete takes away a user's records of some calls.
func (m *Memory) Delete(ctx context.Context, userID string, callIDs ...string) error {
	return m.delete(ctx, userID, func(r Record) bool { return slices.Contains(callIDs, r.CallID) })
}

// DeleteUser takes away all of a user's records.
func (m *Memory) DeleteUser(ctx context.Context, userID string) error {
	return m.delete(ctx, userID, func(Record) bool { return true })
}

func (m *Memory) delete(ctx context.Context, userID string, which func(Record) bool) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for _, e := range slices.Clone(m.users[userID]) {
		if which(e.Record) {
			m.remove(e)
		}
	}
	return nil
}

// Close forgets everything.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.users, m.bytes = nil, 0
	m.age.Init()
	return nil
}
