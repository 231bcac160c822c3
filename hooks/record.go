package hooks

// RecordResult is what became of a call for one user.
type RecordResult uint8

// The results, with the original's numbers.
const (
	RecordUnknown  RecordResult = 0
	RecordMissed   RecordResult = 1 // rang, and was not answered
	RecordIncoming RecordResult = 2 // was answered, or declined
	RecordOutgoing RecordResult = 3 // was started by this user
)
