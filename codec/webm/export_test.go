package webm

// What tests make files with.
var (
	AppendBytes = appendBytes
	AppendUint  = appendUint
	AppendID    = appendID
	AppendSize8 = appendSize8
)

const (
	IDEBML             = idEBML
	IDDocType          = idDocType
	IDReadVersion      = idEBMLReadVer
	IDSegment          = idSegment
	IDInfo             = idInfo
	IDTimestampScale   = idTimestampScale
	IDTracks           = idTracks
	IDTrackEntry       = idTrackEntry
	IDTrackNumber      = idTrackNumber
	IDCodecID          = idCodecID
	IDContentEncodings = idContentEncodings
	IDCluster          = idCluster
	IDTimestamp        = idTimestamp
	IDSimpleBlock      = idSimpleBlock
	IDBlockGroup       = idBlockGroup
	IDBlock            = idBlock
	IDReferenceBlock   = idReferenceBlock
	IDTags             = idTags
	IDVoid             = idVoid

	UnknownSize = unknownSize
)
