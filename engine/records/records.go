// Package records keeps what became of calls: who called whom, whether it was
// answered, and for how long they talked. It is what RecentCalls reads, page by
// page.
//
// A [Store] is the interface. [Memory] is the default: it keeps the newest in
// memory, within bounds, and writes no file. Package records/bolt keeps them in
// a file that survives a restart.
//
//	store := records.NewMemory(records.MemoryConfig{})
//	page, next, err := store.Recent(ctx, "alice", records.Query{Result: hooks.RecordMissed})
//	for err == nil && next != "" {
//		page, next, err = store.Recent(ctx, "alice", records.Query{Result: hooks.RecordMissed, From: next})
//	}
//
// A host that keeps its records elsewhere implements Store, and runs package
// records/recordstest against it.
package records

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshotrtc/earshot/hooks"
)

// Errors of stores. They work with errors.Is.
var (
	// ErrClosed: the store was closed. It wraps net.ErrClosed.
	ErrClosed = fmt.Errorf("records: closed: %w", net.ErrClosed)
	// ErrInvalid: a record cannot be kept as it is, or a query or cursor makes
	// no sense.
	ErrInvalid = errors.New("records: invalid")
	// ErrCorrupt: what the store has kept cannot be read.
	ErrCorrupt = errors.New("records: corrupt")
)

// A Record is one user's part in one call.
type Record struct {
	// CallID names the call, and UserID is whose record this is. Both are 1 to
	// MaxID bytes. All IDs are UTF-8 without a zero byte, at most MaxID long.
	CallID, UserID string
	// Inviter is the user who started the call.
	Inviter string
	// Users are the others who were invited or came, at most MaxUsers.
	Users []string
	// Group is true for a group call, and GroupID is its group, or empty.
	Group   bool
	GroupID string
	Media   hooks.MediaType
	Result  hooks.RecordResult
	// Reason is why the call ended for this user.
	Reason hooks.EndReason
	// Began is when the user was called, or called. Ended is when the call was
	// over for them. Both lie between 1970 and 2262; they are kept to the
	// nanosecond, and come back in UTC.
	Began, Ended time.Time
	// Duration is how long they talked; 0 if they did not.
	Duration time.Duration
}

// Bounds of a record.
const (
	MaxID    = 255
	MaxUsers = 1024
)

// Check returns an ErrInvalid that says what is wrong, or nil. Stores call it.
func (r Record) Check() error {
	for _, id := range []struct{ what, id string }{{"CallID", r.CallID}, {"UserID", r.UserID}} {
		if id.id == "" || len(id.id) > MaxID {
			return fmt.Errorf("%w: %s has %d bytes, want 1 to %d", ErrInvalid, id.what, len(id.id), MaxID)
		}
	}
	if len(r.Users) > MaxUsers {
		return fmt.Errorf("%w: %d users, more than %d", ErrInvalid, len(r.Users), MaxUsers)
	}
	for _, id := range append([]string{r.CallID, r.UserID, r.Inviter, r.GroupID}, r.Users...) {
		if len(id) > MaxID {
			return fmt.Errorf("%w: an ID of %d bytes, more than %d", ErrInvalid, len(id), MaxID)
		}
		if !utf8.ValidString(id) || strings.IndexByte(id, 0) >= 0 {
			return fmt.Errorf("%w: the ID %q", ErrInvalid, id)
		}
	}
	if !storable(r.Began) || !storable(r.Ended) || r.Ended.Before(r.Began) {
		return fmt.Errorf("%w: from %v to %v", ErrInvalid, r.Began, r.Ended)
	}
	if r.Duration < 0 {
		return fmt.Errorf("%w: a duration of %v", ErrInvalid, r.Duration)
	}
	return nil
}

// lastTime is the last that nanoseconds since 1970 in 63 bits can tell.
var lastTime = time.Unix(0, 1<<63-1)

func storable(t time.Time) bool { return t.After(time.Unix(0, 0)) && !t.After(lastTime) }

// Clone returns a copy that shares nothing with r, with its times in UTC and
// without a monotonic reading; Ended stays as long after Began as it was.
func (r Record) Clone() Record {
	r.Users = slices.Clone(r.Users)
	lasted := r.Ended.Sub(r.Began)
	r.Began = r.Began.UTC().Round(0)
	r.Ended = r.Began.Add(lasted)
	return r
}

// Compare orders records as they are shown: the newest first by Began, and
// those of the same instant by CallID. It is 0 for the same record.
func (r Record) Compare(other Record) int {
	if c := other.Began.Compare(r.Began); c != 0 {
		return c
	}
	return strings.Compare(r.CallID, other.CallID)
}

// Size is about how many bytes of memory a record takes.
func (r Record) Size() int {
	n := 240 + len(r.CallID) + len(r.UserID) + len(r.Inviter) + len(r.GroupID)
	for _, u := range r.Users {
		n += 16 + len(u)
	}
	return n
}

// A Query says which records of a user are wanted. The zero Query wants the
// newest of all.
type Query struct {
	// Result keeps only records with that result. Default all.
	Result hooks.RecordResult
	// Since and Until keep only calls that began at Since or later, and before
	// Until. Defaults: no bound.
	Since, Until time.Time
	// Limit is how many records a page holds at most, up to MaxPage. Default
	// 20.
	Limit int
	// From continues where another page ended. Default the newest.
	From Cursor
}

// Sizes of a page.
const (
	DefaultPage = 20
	MaxPage     = 200
)

// WithDefaults returns the query with Limit set. Stores call it.
func (q Query) WithDefaults() (Query, error) {
	if q.Limit < 0 {
		return q, fmt.Errorf("%w: a page of %d", ErrInvalid, q.Limit)
	}
	if q.Limit == 0 {
		q.Limit = DefaultPage
	}
	q.Limit = min(q.Limit, MaxPage)
	if q.From != "" {
		if _, _, err := q.From.Position(); err != nil {
			return q, err
		}
	}
	return q, nil
}

// Wants reports whether a record is one of those asked for; it does not look
// at From and Limit.
func (q Query) Wants(r Record) bool {
	return (q.Result == hooks.RecordUnknown || q.Result == r.Result) &&
		(q.Since.IsZero() || !r.Began.Before(q.Since)) &&
		(q.Until.IsZero() || r.Began.Before(q.Until))
}

// A Cursor is a place in a user's records, between two pages. It stays good
// when records are added or deleted: what comes after it is neither repeated
// nor left out. It may be handed to a client, and is checked when it comes
// back.
type Cursor string

// CursorAfter is the place right after a record, in the order of Compare.
func CursorAfter(r Record) Cursor {
	b := binary.BigEndian.AppendUint64(nil, uint64(r.Began.UnixNano()))
	return Cursor(base64.RawURLEncoding.EncodeToString(append(b, r.CallID...)))
}

// Position returns what CursorAfter was made from. Its error is ErrInvalid.
func (c Cursor) Position() (began time.Time, callID string, err error) {
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(b) < 9 || len(b) > 8+MaxID || b[0] >= 0x80 || !utf8.Valid(b[8:]) || slices.Contains(b[8:], 0) {
		return time.Time{}, "", fmt.Errorf("%w: a cursor that is none", ErrInvalid)
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC(), string(b[8:]), nil
}

// A Store keeps records. Its methods may be called from any goroutine. What
// they are handed is copied, and what they return belongs to the caller.
//
// The engine calls Add off the path of calls; a store that fails loses
// records, and no call.
type Store interface {
	// Add keeps records, all or none; the engine hands over those of a call
	// together. A record with the UserID, CallID and Began of one that is
	// there takes its place. When Add returns nil the records are as safe as
	// the store makes them.
	Add(ctx context.Context, records ...Record) error
	// Recent returns a page of a user's records, the newest first, and the
	// place where the next begins; it is empty when there are no more.
	Recent(ctx context.Context, userID string, q Query) (page []Record, next Cursor, err error)
	// Delete takes away a user's records of some calls; other users keep
	// theirs. What is not there is no error.
	Delete(ctx context.Context, userID string, callIDs ...string) error
	// DeleteUser takes away all that there is of a user's own records.
	DeleteUser(ctx context.Context, userID string) error
	// Close ends the store; all else returns ErrClosed from then on. It is
	// idempotent.
	Close() error
}
