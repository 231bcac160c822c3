package bolt

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"go.etcd.io/bbolt"

	"github.com/earshotrtc/earshot/engine/records"
	"github.com/earshotrtc/earshot/hooks"
)

// The file has four buckets. Numbers are big endian, so that keys sort.
//
//	records  user's length (1 byte), user, beginning (8), call → order (8), row as JSON
//	order    order in which it was added (8) → key in records
//	counts   user → how many records they have (8)
//	meta     "format" → format, "bytes" → size of all records (8)
//
// The beginning is in nanoseconds since 1970, all bits turned over: a user's
// newest record comes first.
var (
	bucketRecords = []byte("records")
	bucketOrder   = []byte("order")
	bucketCounts  = []byte("counts")
	bucketMeta    = []byte("meta")
	keyFormat     = []byte("format")
	keyBytes      = []byte("bytes")
	format        = []byte("earshot-records-1")
)

// row is what a record's key does not say.
type row struct {
	Inviter  string             `json:"from,omitempty"`
	Users    []string           `json:"users,omitempty"`
	Group    bool               `json:"group,omitempty"`
	GroupID  string             `json:"groupID,omitempty"`
	Media    hooks.MediaType    `json:"media,omitempty"`
	Result   hooks.RecordResult `json:"result,omitempty"`
	Reason   hooks.EndReason    `json:"reason,omitempty"`
	Lasted   time.Duration      `json:"lasted"` // from Began to Ended
	Duration time.Duration      `json:"talked,omitempty"`
}

func userPrefix(userID string) []byte {
	return append([]byte{byte(len(userID))}, userID...)
}

func recordKey(userID string, began time.Time, callID string) []byte {
	k := binary.BigEndian.AppendUint64(userPrefix(userID), ^uint64(began.UnixNano()))
	return append(k, callID...)
}

func corrupt(what string) error { return fmt.Errorf("%w: %s", records.ErrCorrupt, what) }

// keyParts takes a record's key apart.
func keyParts(k []byte) (userID string, began time.Time, callID string, err error) {
	if len(k) < 1 || len(k) < 1+int(k[0])+8 {
		return "", time.Time{}, "", corrupt("a key too short")
	}
	n := 1 + int(k[0])
	began = time.Unix(0, int64(^binary.BigEndian.Uint64(k[n:]))).UTC()
	return string(k[1:n]), began, string(k[n+8:]), nil
}

func decode(k, v []byte) (records.Record, error) {
	userID, began, callID, err := keyParts(k)
	if err != nil {
		return records.Record{}, err
	}
	var r row
	if len(v) < 8 {
		return records.Record{}, corrupt("a value too short")
	}
	if err := json.Unmarshal(v[8:], &r); err != nil {
		return records.Record{}, fmt.Errorf("%w: a record: %w", records.ErrCorrupt, err)
	}
	return records.Record{
		CallID: callID, UserID: userID, Inviter: r.Inviter, Users: r.Users, Group: r.Group, GroupID: r.GroupID,
		Media: r.Media, Result: r.Result, Reason: r.Reason, Began: began, Ended: began.Add(r.Lasted), Duration: r.Duration,
	}, nil
}

// prepare checks that the file is one of ours, or makes a new one so.
func (s *Store) prepare() error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		if first, _ := tx.Cursor().First(); first == nil { // a new file
			for _, name := range [][]byte{bucketRecords, bucketOrder, bucketCounts, bucketMeta} {
				if _, err := tx.CreateBucket(name); err != nil {
					return err
				}
			}
			return tx.Bucket(bucketMeta).Put(keyFormat, format)
		}
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			return fmt.Errorf("%w: %s is a bolt file, but not one of call records", records.ErrCorrupt, s.path)
		}
		if f := meta.Get(keyFormat); !bytes.Equal(f, format) {
			return fmt.Errorf("%w: %s has the format %q, want %q", records.ErrCorrupt, s.path, f, format)
		}
		_, err := openTable(tx)
		return err
	})
}

// table is the file within a writing transaction.
type table struct {
	records, order, counts, meta *bbolt.Bucket
	bytes                        int64
}

func openTable(tx *bbolt.Tx) (*table, error) {
	t := &table{
		records: tx.Bucket(bucketRecords), order: tx.Bucket(bucketOrder),
		counts: tx.Bucket(bucketCounts), meta: tx.Bucket(bucketMeta),
	}
	if t.records == nil || t.order == nil || t.counts == nil || t.meta == nil {
		return nil, corrupt("a bucket is missing")
	}
	n, err := getNumber(t.meta, keyBytes)
	if err != nil || n > math.MaxInt64 {
		return nil, corrupt("the size of all records")
	}
	t.bytes = int64(n)
	return t, nil
}

func (t *table) save() error { return putNumber(t.meta, keyBytes, uint64(max(0, t.bytes))) }

func getNumber(b *bbolt.Bucket, key []byte) (uint64, error) {
	v := b.Get(key)
	if v == nil {
		return 0, nil
	}
	if len(v) != 8 {
		return 0, corrupt("a number")
	}
	return binary.BigEndian.Uint64(v), nil
}

func putNumber(b *bbolt.Bucket, key []byte, n uint64) error {
	if n == 0 {
		return b.Delete(key)
	}
	return b.Put(key, binary.BigEndian.AppendUint64(nil, n))
}

// size is about what a record takes in the file: its key twice, its value, and
// 16 bytes each for where they are.
func size(k, v []byte) int64 { return int64(2*len(k) + len(v) + 40) }

func (t *table) add(r records.Record, maxPerUser uint64) error {
	k := recordKey(r.UserID, r.Began, r.CallID)
	if old := t.records.Get(k); old != nil {
		if err := t.remove(k, old); err != nil {
			return err
		}
	}
	seq, err := t.order.NextSequence()
	if err != nil {
		return err
	}
	order := binary.BigEndian.AppendUint64(nil, seq)
	text, err := json.Marshal(row{
		Inviter: r.Inviter, Users: r.Users, Group: r.Group, GroupID: r.GroupID, Media: r.Media, Result: r.Result,
		Reason: r.Reason, Lasted: r.Ended.Sub(r.Began), Duration: r.Duration,
	})
	if err != nil {
		return err
	}
	v := append(order[:8:8], text...)
	user := []byte(r.UserID)
	n, err := getNumber(t.counts, user)
	if err != nil {
		return err
	}
	if err := errors.Join(t.records.Put(k, v), t.order.Put(order, k), putNumber(t.counts, user, n+1)); err != nil {
		return err
	}
	t.bytes += size(k, v)
	if n+1 > maxPerUser {
		return t.removeOldest(r.UserID)
	}
	return nil
}

// remove takes one record away. It may not be called with a cursor at work.
func (t *table) remove(k, v []byte) error {
	if len(v) < 8 {
		return corrupt("a value too short")
	}
	freed := size(k, v)
	k, order := bytes.Clone(k), bytes.Clone(v[:8]) // theirs are gone with the record
	userID, _, _, err := keyParts(k)
	if err != nil {
		return err
	}
	n, err := getNumber(t.counts, []byte(userID))
	if err != nil {
		return err
	}
	t.bytes -= freed
	return errors.Join(t.records.Delete(k), t.order.Delete(order), putNumber(t.counts, []byte(userID), max(n, 1)-1))
}

// removeOldest takes away a user's last record in the order of keys.
func (t *table) removeOldest(userID string) error {
	prefix := userPrefix(userID)
	c := t.records.Cursor()
	last := c.Prev
	if k, _ := c.Seek(append(bytes.Clone(prefix), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)); k == nil {
		last = c.Last // there is no user after this one
	}
	k, v := last()
	if !bytes.HasPrefix(k, prefix) {
		return corrupt("a user's count")
	}
	return t.remove(k, v)
}

// shrink takes away what was added first until all fits.
func (t *table) shrink(maxBytes int64) error {
	for t.bytes > maxBytes {
		order, k := t.order.Cursor().First()
		if order == nil {
			t.bytes = 0
			return nil
		}
		v := t.records.Get(k)
		if v == nil {
			return corrupt("the order of records")
		}
		if err := t.remove(k, v); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) delete(userID string, which func(callID string) bool) error {
	prefix := userPrefix(userID)
	var gone [][]byte
	c := t.records.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		_, _, callID, err := keyParts(k)
		if err != nil {
			return err
		}
		if which(callID) {
			gone = append(gone, bytes.Clone(k))
		}
	}
	for _, k := range gone {
		if err := t.remove(k, t.records.Get(k)); err != nil {
			return err
		}
	}
	return nil
}

// recent reads a page.
func recent(tx *bbolt.Tx, userID string, q records.Query) (page []records.Record, next records.Cursor, err error) {
	b := tx.Bucket(bucketRecords)
	if b == nil {
		return nil, "", corrupt("a bucket is missing")
	}
	prefix := userPrefix(userID)
	start := prefix
	if u := q.Until; u.After(time.Unix(0, 0)) && u.Before(time.Unix(0, math.MaxInt64)) {
		start = recordKey(userID, u.Add(-1), "") // the newest that may be
	}
	var last []byte
	if q.From != "" {
		began, callID, err := q.From.Position()
		if err != nil {
			return nil, "", err
		}
		if last = recordKey(userID, began, callID); bytes.Compare(last, start) > 0 {
			start = last
		}
	}
	c := b.Cursor()
	for k, v := c.Seek(start); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if bytes.Equal(k, last) {
			continue // was on the page before
		}
		r, err := decode(k, v)
		if err != nil {
			return nil, "", err
		}
		if !q.Since.IsZero() && r.Began.Before(q.Since) {
			break // and so are all that follow
		}
		if !q.Wants(r) {
			continue
		}
		if len(page) == q.Limit {
			return page, records.CursorAfter(page[len(page)-1]), nil
		}
		page = append(page, r)
	}
	return page, "", nil
}
