package bolt

import (
	"context"
	"errors"

	"go.etcd.io/bbolt"
)

// Writing to the disk and waiting until it is there is what costs. So while
// one goroutine waits for it, all others queue, and the next writes for all of
// them at once.

// write is one change that waits for its turn.
type write struct {
	change func(*table) error
	done   chan error // takes errLead, or how it went
}

// errLead tells one who waits that the turn is theirs, to write for all.
var errLead = errors.New("lead")

func (s *Store) write(ctx context.Context, change func(*table) error) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.busy.Done()
	w := &write{change, make(chan error, 1)}
	s.mu.Lock()
	s.queue = append(s.queue, w)
	wait := s.leads
	s.leads = true
	s.mu.Unlock()
	if wait {
		if err := <-w.done; err != errLead {
			return err
		}
	}
	s.lead()
	return <-w.done
}

// lead writes what is queued, and hands on to the first of those who came
// meanwhile.
func (s *Store) lead() {
	s.mu.Lock()
	batch := s.queue
	s.queue = nil
	s.mu.Unlock()

	err := s.commit(batch)
	for _, w := range batch {
		w.done <- err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		s.leads = false
		return
	}
	s.queue[0].done <- errLead
}

// commit makes all changes in one transaction, or none: what fails here is the
// disk, and fails for all.
func (s *Store) commit(batch []*write) error {
	return s.guard(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			t, err := openTable(tx)
			if err != nil {
				return err
			}
			for _, w := range batch {
				if err := w.change(t); err != nil {
					return err
				}
			}
			return t.save()
		})
	})
}
