// The journey of every generated client, with OpenAPI Generator's for Go: connect, or read.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"os"

	finlink "github.com/GIT_USER_ID/GIT_REPO_ID"
)

type object = map[string]any

func need(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func connect(ctx context.Context, client *finlink.APIClient, userID string) object {
	request := finlink.NewCreateUserRequest(userID+"@example.com")
	request.SetUserId(userID)
	request.SetPhoneNumber("+91-9876543210")
	request.SetDateOfBirth("1990-01-15")
	request.SetIncome(1_200_000.5)
	request.SetRiskTolerance(finlink.MEDIUM)
	preferences := finlink.NewPreferencesInput()
	preferences.SetCurrency("INR")
	request.SetPreferences(*preferences)
	metadata := finlink.NewUserMetadataInput()
	metadata.SetTags([]string{"premium"})
	request.SetMetadata(*metadata)
	user, _, err := client.UsersAPI.CreateUser(ctx).CreateUserRequest(*request).Execute()
	need(err)

	credentials := finlink.NewCredentials()
	credentials.SetUsername("9876543210")
	credentials.SetPassword("any")
	permissions := finlink.AllowedDataTypeEnumValues
	wanted := finlink.NewCreateConnectorRequest(userID, finlink.FI_MONEY, permissions)
	wanted.SetCredentials(*credentials)
	connector, _, err := client.ConnectorsAPI.CreateConnector(ctx).
		IdempotencyKey("connect-" + userID).CreateConnectorRequest(*wanted).Execute()
	need(err)

	return object{
		"user":      user.Data.UserId,
		"born":      user.Data.Profile.GetDateOfBirth(),
		"income":    user.Data.Profile.GetIncome(),
		"risk":      user.Data.Profile.GetRiskTolerance(),
		"tags":      user.Data.Metadata.Tags,
		"connector": connector.Data.Id,
		"status":    connector.Data.ConnectionStatus,
	}
}

func walk(ctx context.Context, client *finlink.APIClient, connector string) []finlink.Record {
	var records []finlink.Record
	call := client.ConnectorsAPI.ListRecords(ctx, connector).Limit(50)
	for {
		page, _, err := call.Execute()
		need(err)
		records = append(records, page.Data.Records...)
		if !page.Data.Pagination.HasNextPageToken() {
			return records
		}
		call = call.PageToken(page.Data.Pagination.GetNextPageToken())
	}
}

func refusal(response *http.Response, err error) object {
	var refused *finlink.GenericOpenAPIError
	if !errors.As(err, &refused) {
		log.Fatalf("it was not refused: %v", err)
	}
	model, ok := refused.Model().(finlink.ErrorResponse)
	if !ok {
		log.Fatalf("no error of Finlink: %s", refused.Body())
	}
	fields := [][]string{}
	for _, detail := range model.Error.Details {
		fields = append(fields, []string{detail.Field, detail.Message})
	}
	return object{
		"status":  response.StatusCode,
		"code":    model.Error.Code,
		"message": model.Error.Message,
		"fields":  fields,
	}
}

func read(ctx context.Context, client *finlink.APIClient, userID, connector string) object {
	counts := map[finlink.DataType]int{}
	trades, holdings := 0, 0
	var row *finlink.Record
	for _, record := range walk(ctx, client, connector) {
		counts[record.DataType]++
		if record.Trade != nil {
			trades++
		}
		if record.Holding != nil {
			holdings++
		}
		if record.Transaction != nil && row == nil {
			row = &record
		}
	}
	// A later Finlink has more fields.
	whole, err := row.ToMap()
	need(err)
	whole["later"] = 1
	text, err := json.Marshal(whole)
	need(err)
	var later finlink.Record
	need(json.Unmarshal(text, &later))

	summary, _, err := client.ConnectorsAPI.GetConnectorStatusSummary(ctx).FromDate("2020-01-01").Execute()
	need(err)
	events, _, err := client.AuditTrailAPI.ListAuditEvents(ctx).
		UserId(userID).FromDate("2020-01-01T00:00:00.5+05:30").Execute()
	need(err)
	actions := []string{}
	for _, event := range events.Data.Events {
		actions = append(actions, event.Action)
	}
	found, _, err := client.UsersAPI.BatchGetUsers(ctx).UserIds([]string{userID, "nobody"}).Execute()
	need(err)
	names := []string{}
	for _, user := range found.Data.Users {
		names = append(names, user.UserId)
	}
	status, _, err := client.SyncsAPI.GetSyncStatus(ctx, connector).Execute()
	need(err)
	outcomes := []finlink.SyncOutcome{}
	for _, entry := range status.Data.SyncHistory {
		outcomes = append(outcomes, entry.Status)
	}
	file, _, err := client.ExportsAPI.ExportUser(ctx, userID).Execute()
	need(err)
	lines, err := io.ReadAll(file)
	need(err)
	exported, complete := 0, false
	for _, line := range bytes.Split(bytes.TrimSpace(lines), []byte("\n")) {
		var each finlink.ExportUserResponse
		need(json.Unmarshal(line, &each))
		if each.Record != nil {
			exported++
		}
		complete = each.Completed != nil
	}

	wrong := finlink.NewCreateUserRequest("user@example.com")
	wrong.SetUserId(userID)
	wrong.SetPhoneNumber("+12")
	preferences := finlink.NewPreferencesInput()
	preferences.SetCurrency("ZZZ")
	wrong.SetPreferences(*preferences)
	taken := finlink.NewCreateUserRequest(userID+"@example.com")
	taken.SetUserId(userID)
	refused := []object{}
	for _, request := range []*finlink.CreateUserRequest{wrong, taken} {
		_, response, err := client.UsersAPI.CreateUser(ctx).CreateUserRequest(*request).Execute()
		refused = append(refused, refusal(response, err))
	}
	_, response, err := client.UsersAPI.GetUser(ctx, "nobody").Execute()
	refused = append(refused, refusal(response, err))

	return object{
		"records":  counts,
		"trades":   trades,
		"holdings": holdings,
		"transaction": object{
			"id":        later.Id,
			"date":      row.Transaction.Date,
			"direction": row.Transaction.Direction,
			"amount":    row.Transaction.Amount.Value,
		},
		"connections": summary.Data.Summary.TotalConnections,
		"actions":     actions,
		"found":       names,
		"missing":     found.Data.MissingUserIds,
		"outcomes":    outcomes,
		"exported":    exported,
		"complete":    complete,
		"errors":      refused,
	}
}

func main() {
	phase, url, key := os.Args[1], os.Args[2], os.Args[3]
	configuration := finlink.NewConfiguration()
	configuration.Servers = finlink.ServerConfigurations{{URL: url}}
	client := finlink.NewAPIClient(configuration)
	ctx := context.WithValue(context.Background(), finlink.ContextAPIKeys,
		map[string]finlink.APIKey{"apiKey": {Key: key}})
	var made object
	if phase == "connect" {
		made = connect(ctx, client, os.Args[4])
	} else {
		made = read(ctx, client, os.Args[4], os.Args[5])
	}
	need(json.NewEncoder(os.Stdout).Encode(made))
}
