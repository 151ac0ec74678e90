package main

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/libopenstorage/openstorage/api"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A volume, or a snapshot, which is one with a parent.
type volume struct {
	ID        string
	Name      string
	Size      int64
	Parent    string
	Snapshot  bool
	Created   time.Time
	Ownership *api.Ownership
}

// A store is a folder with one for each volume: what is known of it, and its data.
type store struct {
	folder string
}

func (s store) data(id string) string {
	return filepath.Join(s.folder, filepath.Base(id), "data")
}

func (s store) description(id string) string {
	return filepath.Join(s.folder, filepath.Base(id), "volume.json")
}

func (s store) find(id string) (*volume, error) {
	content, err := os.ReadFile(s.description(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, status.Errorf(codes.NotFound, "Volume id %s not found", id)
	}
	if err != nil {
		return nil, err
	}
	v := &volume{}
	return v, json.Unmarshal(content, v)
}

// All volumes and snapshots, in the order of their ids.
func (s store) all() ([]*volume, error) {
	found, err := filepath.Glob(s.description("*"))
	if err != nil {
		return nil, err
	}
	var all []*volume
	for _, file := range found {
		v, err := s.find(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// The volume or snapshot of a name, or nil.
func (s store) named(name string) (*volume, error) {
	all, err := s.all()
	for _, v := range all {
		if v.Name == name {
			return v, err
		}
	}
	return nil, err
}

// Create keeps a new volume; its data is its parent's, if it has one.
func (s store) create(v *volume) error {
	var number [8]byte
	_, _ = rand.Read(number[:])
	v.ID = strconv.FormatUint(binary.BigEndian.Uint64(number[:]), 10)
	v.Created = time.Now()
	if err := os.MkdirAll(s.data(v.ID), 0o777); err != nil {
		return err
	}
	if err := os.Chmod(s.data(v.ID), 0o777); err != nil { // whatever the umask is
		return err
	}
	if v.Parent != "" {
		if err := os.CopyFS(s.data(v.ID), os.DirFS(s.data(v.Parent))); err != nil {
			return err
		}
	}
	return s.write(v)
}

// Write is done wholly or not at all: the driver may be killed at any moment.
func (s store) write(v *volume) error {
	content, err := json.Marshal(v)
	if err != nil {
		return err
	}
	unfinished := s.description(v.ID) + ".new"
	if err := os.WriteFile(unfinished, content, 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, s.description(v.ID))
}

func (s store) remove(id string) error {
	if err := os.Remove(s.description(id)); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Dir(s.data(id)))
}
