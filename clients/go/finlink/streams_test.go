package finlink

// Watches, exports and lists, against a scripted server in this process.

import (
	"context"
	"errors"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	connectorsv1 "github.com/finlink/finlink/clients/go/finlink/connectors/v1"
	exportsv1 "github.com/finlink/finlink/clients/go/finlink/exports/v1"
	typesv1 "github.com/finlink/finlink/clients/go/finlink/types/v1"
	usersv1 "github.com/finlink/finlink/clients/go/finlink/users/v1"
)

func event(token string) proto.Message {
	return &connectorsv1.WatchConnectorsResponse{ResumeToken: token, Type: "sync"}
}

func TestAWatchGoesOnAfterTheLastEvent(t *testing.T) {
	script, finlink := serving(t)
	cut := status.Error(codes.Internal, "what gRPC says of a stream whose server was killed")
	script.replies = []reply{
		{messages: []proto.Message{event("a"), event("b")}, err: down.err}, down, {err: cut}, {messages: []proto.Message{event("c")}},
	}
	request := &connectorsv1.WatchConnectorsRequest{UserId: proto.String("ann"), ResumeToken: proto.String("start")}
	before := proto.CloneOf(request)
	events := must(all(finlink.WatchConnectors(t.Context(), request)))(t)
	if tokens := each(events, (*connectorsv1.WatchConnectorsResponse).GetResumeToken); !slices.Equal(tokens, []string{"a", "b", "c"}) {
		t.Errorf("events %q", tokens)
	}
	asked := each(asked(t, script, &connectorsv1.WatchConnectorsRequest{}), (*connectorsv1.WatchConnectorsRequest).GetResumeToken)
	if !slices.Equal(asked, []string{"start", "b", "b", "b"}) || !proto.Equal(request, before) {
		t.Errorf("asked %q, request %v", asked, request)
	}
	for _, call := range script.received {
		if call.timeout != 0 {
			t.Error("a watch has a deadline")
		}
	}
}

func TestWhatDoesNotPassEndsAWatch(t *testing.T) {
	script, finlink := serving(t)
	for _, reason := range []Code{CodeResumeTokenExpired, CodeInternal} {
		script.replies = []reply{
			{messages: []proto.Message{event("a")}, err: down.err}, failure(t, string(reason), codes.Internal, "finlink"),
		}
		events, err := all(finlink.WatchConnectors(t.Context(), nil))
		if failed(t, reason, err); len(events) != 1 {
			t.Errorf("events %v", events)
		}
	}
}

func TestAWatchThatDoesNotBeginFailsAtOnce(t *testing.T) {
	script, finlink := serving(t)
	script.replies = []reply{down}
	_, err := all(finlink.WatchConnectors(t.Context(), nil))
	if failed(t, CodeUnavailable, err); len(script.received) != 1 {
		t.Errorf("%d attempts", len(script.received))
	}
}

func TestAWatchEndsWithItsContextAndWithTheClient(t *testing.T) {
	script, finlink := serving(t)
	ctx, leave := context.WithCancel(t.Context())
	for _, end := range []func(){leave, func() { finlink.Close() }} {
		script.replies = []reply{{messages: []proto.Message{event("a")}, hang: true}}
		go func() {
			<-script.hanging
			end()
		}()
		_, err := all(finlink.WatchConnectors(ctx, nil))
		if failed(t, CodeCancelled, err); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		ctx = t.Context()
	}
}

func TestAnExportThatBreaksOffIsNotTakenForTheWhole(t *testing.T) {
	script, finlink := serving(t)
	item := &exportsv1.ExportUserResponse{Item: &exportsv1.ExportUserResponse_User{User: &usersv1.User{UserId: "ann"}}}
	script.replies = []reply{{messages: []proto.Message{item}, err: down.err}}
	items, err := all(finlink.ExportUser(t.Context(), &exportsv1.ExportUserRequest{UserId: "ann"}))
	if failed(t, CodeUnavailable, err); len(items) != 1 || len(script.received) != 1 {
		t.Errorf("%d items of %d exports", len(items), len(script.received))
	}
}

func TestListsAreWalkedInLargePagesAndNothingIsFetchedAhead(t *testing.T) {
	script, finlink := serving(t)
	page := func(next *string, ids ...string) reply {
		records := each(ids, func(id string) *connectorsv1.Record { return &connectorsv1.Record{Id: id} })
		data := &connectorsv1.ListRecordsData{Records: records, Pagination: &typesv1.Pagination{NextPageToken: next}}
		return reply{messages: []proto.Message{&connectorsv1.ListRecordsResponse{Data: data}}}
	}
	script.replies = []reply{page(proto.String("next"), "a", "b"), page(nil, "c")}
	found := []string{}
	request := &connectorsv1.ListRecordsRequest{ConnectorId: "0", DataType: proto.String("trades")}
	for record, err := range finlink.IterateRecords(t.Context(), request) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, record.GetId())
		if wanted := (len(found) + 1) / 2; len(script.received) != wanted {
			t.Errorf("%d pages for %q", len(script.received), found)
		}
	}
	if !slices.Equal(found, []string{"a", "b", "c"}) {
		t.Errorf("found %q", found)
	}
	for number, ask := range asked(t, script, &connectorsv1.ListRecordsRequest{}) {
		if ask.GetLimit() != 100 || ask.GetPageToken() != []string{"", "next"}[number] || ask.GetDataType() != "trades" {
			t.Errorf("asked %v", ask)
		}
	}
}
