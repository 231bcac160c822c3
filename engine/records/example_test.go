package records_test

import (
	"context"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/engine/records"
	"github.com/earshotrtc/earshot/hooks"
)

func Example() {
	ctx := context.Background()
	store := records.NewMemory(records.MemoryConfig{})
	defer store.Close()

	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, from := range []string{"bob", "carol", "bob"} {
		began := noon.Add(time.Duration(i) * time.Hour)
		err := store.Add(ctx, records.Record{
			CallID: fmt.Sprint("call-", i), UserID: "alice", Inviter: from, Users: []string{from},
			Media: hooks.MediaAudio, Result: hooks.RecordMissed, Reason: hooks.EndNoResponse,
			Began: began, Ended: began.Add(30 * time.Second),
		})
		if err != nil {
			panic(err)
		}
	}

	q := records.Query{Result: hooks.RecordMissed, Limit: 2}
	for {
		page, next, err := store.Recent(ctx, "alice", q)
		if err != nil {
			panic(err)
		}
		for _, r := range page {
			fmt.Println(r.Began.Format(time.TimeOnly), r.Inviter)
		}
		if next == "" {
			break
		}
		q.From = next
	}
	// Output:
	// 14:00:00 bob
	// 13:00:00 carol
	// 12:00:00 bob
}
