// Command zerodha_login connects a user to Zerodha as in production: log in on Zerodha's page, wait for the first sync,
// read holdings.
//
//	go run ./examples/zerodha_login USER
//
// Finlink is at FINLINK_ADDRESS, else localhost:50051. It shows the address of the page, and reads from the input where
// the page led: the request token, or the whole address with it.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net/url"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/finlink/finlink/clients/go/finlink"
	connectorsv1 "github.com/finlink/finlink/clients/go/finlink/connectors/v1"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: zerodha_login USER")
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, user string) error {
	client, err := finlink.Connect("")
	if err != nil {
		return err
	}
	defer client.Close()

	created, err := client.Connectors.CreateConnector(ctx, &connectorsv1.CreateConnectorRequest{
		UserId: user, Platform: finlink.PlatformZerodha, Permissions: []string{"portfolio", "profile"},
	})
	if err != nil {
		return err
	}
	connector := created.GetData().GetId()
	fmt.Println("Log in at", created.GetData().GetLoginUrl())
	ledTo, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return err
	}
	_, err = client.Connectors.RefreshSession(ctx, &connectorsv1.RefreshSessionRequest{
		ConnectorId: connector,
		Credentials: &connectorsv1.Credentials{RequestToken: proto.String(tokenOf(strings.TrimSpace(ledTo)))},
	})
	if err != nil {
		return err
	}
	fmt.Println("Connected")

	for range 150 {
		status, err := client.Sync.GetSyncStatus(ctx, &connectorsv1.GetSyncStatusRequest{ConnectorId: connector})
		if err != nil {
			return err
		}
		if len(status.GetData().GetSyncHistory()) > 0 {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	request := &connectorsv1.ListRecordsRequest{ConnectorId: connector, DataType: proto.String("portfolio")}
	for record, err := range client.IterateRecords(ctx, request) {
		if err != nil {
			return err
		}
		holding := record.GetHolding()
		value := holding.GetValue()
		fmt.Printf("%s: %s units, %s %s\n", holding.GetName(), holding.GetQuantity(), value.GetValue(), value.GetCurrency())
	}
	return nil
}

// tokenOf gives the request token, from the address that has it or alone.
func tokenOf(ledTo string) string {
	if address, err := url.Parse(ledTo); err == nil && address.Query().Has("request_token") {
		return address.Query().Get("request_token")
	}
	return ledTo
}
