package webview

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"path"
)

// The pages' files: those of client/ and view/ and of their folders, without
// tests. [^t] leaves out the folders named test.
//
//go:embed */*.js */*.css */*.html */[^t]*/*.js
var embedded embed.FS

// A file is one that is served, with its headers.
type file struct {
	body        []byte
	contentType string
	etag        string
}

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
}

// load reads the files, by their paths.
func load() (map[string]file, error) {
	files := make(map[string]file)
	err := fs.WalkDir(embedded, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		files[name] = file{body, contentTypes[path.Ext(name)], `"` + hex.EncodeToString(sum[:12]) + `"`}
		return nil
	})
	return files, err
}
