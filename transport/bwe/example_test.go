package bwe_test

import (
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/transport/bwe"
)

// A camera on a path of 1 Mbit/s, 20 ms each way, in virtual time.
func Example() {
	sender, err := bwe.NewSender(bwe.Config{Initial: 300_000, Max: 3_000_000})
	if err != nil {
		fmt.Println(err)
		return
	}
	receiver := bwe.NewReceiver(2)

	const camera, size, rate = 1, 1000, 1_000_000
	const delay = 20 * time.Millisecond
	now := time.Now()
	free := now // when the path has sent all that it took
	var seq uint16
	var report []byte
	for end, next := now.Add(30*time.Second), now; now.Before(end); now = now.Add(25 * time.Millisecond) {
		for next.Before(now) {
			sender.Sent(camera, seq, size, next)
			if free.Before(next) {
				free = next
			}
			free = free.Add(size * 8 * time.Second / rate)
			receiver.Received(camera, seq, free.Add(delay))
			seq++
			next = next.Add(size * 8 * time.Second / time.Duration(sender.Target()))
		}
		report = receiver.AppendReport(report[:0], now.Add(100*time.Millisecond), 0)
		if len(report) > 0 {
			if err := sender.FeedbackPacket(report, now); err != nil {
				fmt.Println(err)
			}
		}
	}
	fmt.Println("the path is known:", sender.Target() > 800_000 && sender.Target() < 1_150_000)
	fmt.Println("lost:", sender.Loss())
	// Output:
	// the path is known: true
	// lost: 0
}
