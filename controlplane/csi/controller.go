package main

import (
	"context"
	"sync"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/libopenstorage/openstorage/api"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const gibibyte = 1 << 30

type driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	csi.UnimplementedNodeServer
	guard *guard
	store store
	node  string
	// One call after the other: a name must not be given twice.
	lock sync.Mutex
}

// ControllerGetCapabilities tells what is below.
func (d *driver) ControllerGetCapabilities(
	context.Context, *csi.ControllerGetCapabilitiesRequest,
) (*csi.ControllerGetCapabilitiesResponse, error) {
	answer := &csi.ControllerGetCapabilitiesResponse{}
	for _, kind := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_CLONE_VOLUME,
		csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
	} {
		rpc := &csi.ControllerServiceCapability_RPC{Type: kind}
		answer.Capabilities = append(answer.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: rpc},
		})
	}
	return answer, nil
}

// CreateVolume makes a volume of the token's user, a new one or a copy.
func (d *driver) CreateVolume(
	ctx context.Context, request *csi.CreateVolumeRequest,
) (*csi.CreateVolumeResponse, error) {
	if request.Name == "" {
		return nil, status.Error(codes.InvalidArgument, "Name must be provided")
	}
	if len(request.VolumeCapabilities) == 0 {
		return nil, status.Error(codes.InvalidArgument, "Volume capabilities must be provided")
	}
	source := request.GetVolumeContentSource()
	parent := source.GetSnapshot().GetSnapshotId() + source.GetVolume().GetVolumeId()
	method := "OpenStorageVolume/Create"
	if parent != "" {
		method = "OpenStorageVolume/Clone"
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	ctx, err := d.guard.admit(ctx, request.Secrets, method)
	if err != nil {
		return nil, err
	}
	v, err := d.create(ctx, request.Name, size(request.CapacityRange), parent)
	if err != nil {
		return nil, err
	}
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{
		VolumeId: v.ID, CapacityBytes: v.Size, ContentSource: source,
	}}, nil
}

func (d *driver) create(
	ctx context.Context, name string, size int64, parent string,
) (*volume, error) {
	found, err := d.store.named(name)
	if err != nil {
		return nil, err
	}
	if found != nil {
		if !found.Ownership.IsPermittedByContext(ctx, api.Ownership_Admin) {
			return nil, status.Errorf(codes.PermissionDenied,
				"Volume %s already exists and is owned by another user", name)
		}
		if found.Size != size {
			return nil, status.Errorf(codes.AlreadyExists,
				"Existing volume has a size of %v which differs from requested size of %v",
				found.Size, size)
		}
		if found.Parent != parent {
			return nil, status.Error(codes.AlreadyExists,
				"Existing volume has conflicting parent value")
		}
		return found, nil
	}
	if parent != "" {
		if _, err := d.permitted(ctx, parent, api.Ownership_Read); err != nil {
			return nil, err
		}
	}
	owner := api.OwnershipSetUsernameFromContext(ctx, nil)
	v := &volume{Name: name, Size: size, Parent: parent, Ownership: owner}
	return v, d.store.create(v)
}

// The volume, if the token's user may call this method and has this access to it.
func (d *driver) admitted(
	ctx context.Context, secrets map[string]string, method, id string, access api.Ownership_AccessType,
) (*volume, error) {
	ctx, err := d.guard.admit(ctx, secrets, method)
	if err != nil {
		return nil, err
	}
	return d.permitted(ctx, id, access)
}

// The volume, if the context's user has this access to it.
func (d *driver) permitted(
	ctx context.Context, id string, access api.Ownership_AccessType,
) (*volume, error) {
	v, err := d.store.find(id)
	if err != nil {
		return nil, err
	}
	return v, permit(ctx, v, access)
}

// DeleteVolume deletes a volume of the token's user.
func (d *driver) DeleteVolume(
	ctx context.Context, request *csi.DeleteVolumeRequest,
) (*csi.DeleteVolumeResponse, error) {
	if request.VolumeId == "" {
		return nil, status.Error(codes.InvalidArgument, "Volume id must be provided")
	}
	if err := d.delete(ctx, request.Secrets, request.VolumeId); err != nil {
		return nil, status.Errorf(codes.Aborted,
			"Unable to delete volume with id %s: %s", request.VolumeId, err)
	}
	return &csi.DeleteVolumeResponse{}, nil
}

func (d *driver) delete(ctx context.Context, secrets map[string]string, id string) error {
	d.lock.Lock()
	defer d.lock.Unlock()
	_, err := d.admitted(ctx, secrets, "OpenStorageVolume/Delete", id, api.Ownership_Admin)
	if status.Code(err) == codes.NotFound {
		return nil // deleted before
	}
	if err != nil {
		return err
	}
	return d.store.remove(id)
}

// ControllerExpandVolume lets a volume of the token's user grow.
func (d *driver) ControllerExpandVolume(
	ctx context.Context, request *csi.ControllerExpandVolumeRequest,
) (*csi.ControllerExpandVolumeResponse, error) {
	if request.VolumeId == "" {
		return nil, status.Error(codes.InvalidArgument, "Volume id must be provided")
	}
	if request.CapacityRange == nil {
		return nil, status.Error(codes.InvalidArgument, "Capacity range must be provided")
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	v, err := d.admitted(
		ctx, request.Secrets, "OpenStorageVolume/Update", request.VolumeId, api.Ownership_Write)
	if status.Code(err) == codes.NotFound {
		return nil, err
	}
	if err != nil {
		return nil, status.Errorf(codes.Internal,
			"Failed to get volume %s: %v", request.VolumeId, err)
	}
	v.Size = max(v.Size, size(request.CapacityRange))
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: v.Size}, d.store.write(v)
}

// ValidateVolumeCapabilities confirms what is asked for, if the token's user may see the volume.
func (d *driver) ValidateVolumeCapabilities(
	ctx context.Context, request *csi.ValidateVolumeCapabilitiesRequest,
) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if len(request.VolumeCapabilities) == 0 {
		return nil, status.Error(codes.InvalidArgument, "volume_capabilities must be specified")
	}
	if request.VolumeId == "" {
		return nil, status.Error(codes.InvalidArgument, "volume_id must be specified")
	}
	if _, err := d.admitted(
		ctx, request.Secrets, "OpenStorageVolume/Inspect", request.VolumeId, api.Ownership_Read,
	); err != nil {
		return nil, status.Error(codes.NotFound, "ID not found")
	}
	return &csi.ValidateVolumeCapabilitiesResponse{
		Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
			VolumeContext:      request.VolumeContext,
			VolumeCapabilities: request.VolumeCapabilities,
			Parameters:         request.Parameters,
		},
	}, nil
}

// CreateSnapshot copies a volume that the token's user may read.
func (d *driver) CreateSnapshot(
	ctx context.Context, request *csi.CreateSnapshotRequest,
) (*csi.CreateSnapshotResponse, error) {
	if request.SourceVolumeId == "" {
		return nil, status.Error(codes.InvalidArgument, "Volume id must be provided")
	}
	if request.Name == "" {
		return nil, status.Error(codes.InvalidArgument, "Name must be provided")
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	taken, err := d.snapshot(ctx, request)
	if err != nil {
		return nil, err
	}
	return &csi.CreateSnapshotResponse{Snapshot: described(taken)}, nil
}

func (d *driver) snapshot(
	ctx context.Context, request *csi.CreateSnapshotRequest,
) (*volume, error) {
	ctx, err := d.guard.admit(ctx, request.Secrets, "OpenStorageVolume/SnapshotCreate")
	if err != nil {
		return nil, status.Errorf(codes.Aborted, "Failed to create snapshot: %v", err)
	}
	found, err := d.store.named(request.Name)
	if err != nil {
		return nil, err
	}
	if found != nil && permit(ctx, found, api.Ownership_Read) == nil {
		if found.Parent != request.SourceVolumeId {
			return nil, status.Error(codes.AlreadyExists,
				"Requested snapshot already exists for another source volume id")
		}
		return found, nil
	}
	parent, err := d.permitted(ctx, request.SourceVolumeId, api.Ownership_Read)
	if status.Code(err) == codes.NotFound {
		return nil, status.Errorf(codes.Aborted,
			"Volume id %s not found: %v", request.SourceVolumeId, err)
	}
	if err != nil {
		return nil, status.Errorf(codes.Aborted, "Failed to create snapshot: %v", err)
	}
	// A snapshot is its volume's owner's, whoever takes it.
	taken := *parent
	taken.Name, taken.Parent, taken.Snapshot = request.Name, parent.ID, true
	return &taken, d.store.create(&taken)
}

// DeleteSnapshot deletes a snapshot of the token's user.
func (d *driver) DeleteSnapshot(
	ctx context.Context, request *csi.DeleteSnapshotRequest,
) (*csi.DeleteSnapshotResponse, error) {
	if request.SnapshotId == "" {
		return nil, status.Error(codes.InvalidArgument, "Snapshot id must be provided")
	}
	if err := d.delete(ctx, request.Secrets, request.SnapshotId); err != nil {
		return nil, status.Errorf(codes.Aborted,
			"Unable to delete snapshot %s: %v", request.SnapshotId, err)
	}
	return &csi.DeleteSnapshotResponse{}, nil
}

// ListSnapshots lists those that the token's user may see.
func (d *driver) ListSnapshots(
	ctx context.Context, request *csi.ListSnapshotsRequest,
) (*csi.ListSnapshotsResponse, error) {
	ctx, err := d.guard.admit(ctx, request.Secrets, "OpenStorageVolume/SnapshotEnumerateWithFilters")
	if err != nil {
		return nil, status.Errorf(codes.Internal, "Unable to get all snapshots: %v", err)
	}
	all, err := d.store.all()
	if err != nil {
		return nil, err
	}
	answer := &csi.ListSnapshotsResponse{}
	for _, v := range all {
		switch {
		case !v.Snapshot, v.ID < request.StartingToken,
			request.SnapshotId != "" && v.ID != request.SnapshotId,
			request.SourceVolumeId != "" && v.Parent != request.SourceVolumeId,
			permit(ctx, v, api.Ownership_Read) != nil:
			continue
		case request.MaxEntries > 0 && len(answer.Entries) == int(request.MaxEntries):
			answer.NextToken = v.ID
			return answer, nil
		}
		entry := &csi.ListSnapshotsResponse_Entry{Snapshot: described(v)}
		answer.Entries = append(answer.Entries, entry)
	}
	return answer, nil
}

func described(snapshot *volume) *csi.Snapshot {
	return &csi.Snapshot{
		SnapshotId:     snapshot.ID,
		SourceVolumeId: snapshot.Parent,
		SizeBytes:      snapshot.Size,
		CreationTime:   timestamppb.New(snapshot.Created),
		ReadyToUse:     true,
	}
}

// Whole gibibytes, and one where no size is asked for.
func size(wanted *csi.CapacityRange) int64 {
	whole := (wanted.GetRequiredBytes() + gibibyte - 1) / gibibyte
	return max(whole, 1) * gibibyte
}
