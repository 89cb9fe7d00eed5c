// Command money shows a user's money: an account, an expense, and the newest transactions with their categories.
//
//	go run ./examples/money USER
//
// Finlink is at FINLINK_ADDRESS, else localhost:50051. A service calls on behalf of the user, whom it names with each
// call.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/finlink/finlink/clients/go/finlink"
	moneyv1 "github.com/finlink/finlink/clients/go/finlink/money/v1"
	typesv1 "github.com/finlink/finlink/clients/go/finlink/types/v1"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: money USER")
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-on-behalf-of", os.Args[1])
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	client, err := finlink.Connect("")
	if err != nil {
		return err
	}
	defer client.Close()

	found, err := client.Categories.ListCategories(ctx, &moneyv1.ListCategoriesRequest{Type: proto.String("expense")})
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, each := range found.GetData().GetCategories() {
		names[each.GetId()] = each.GetName()
	}
	made, err := client.Accounts.CreateAccount(ctx, &moneyv1.CreateAccountRequest{Name: "Wallet", Type: "cash"})
	if err != nil {
		return err
	}
	account := made.GetData()
	_, err = client.Transactions.CreateTransaction(ctx, &moneyv1.CreateTransactionRequest{
		AccountId:  account.GetAccountId(),
		Kind:       "expense",
		Amount:     &typesv1.Money{Value: "450.00", Currency: proto.String(account.GetCurrency())},
		CategoryId: proto.String(found.GetData().GetCategories()[0].GetId()),
		Payee:      proto.String("Swiggy"),
	})
	if err != nil {
		return err
	}
	newest, err := client.Transactions.ListTransactions(ctx, &moneyv1.ListTransactionsRequest{Limit: proto.Int32(10)})
	if err != nil {
		return err
	}
	for _, each := range newest.GetData().GetTransactions() {
		category, known := names[each.GetCategoryId()]
		if !known {
			category = "no category"
		}
		amount := each.GetAmount()
		fmt.Printf("%s: %s of %s %s, %s, %s\n",
			each.GetDate(), each.GetKind(), amount.GetValue(), amount.GetCurrency(), each.GetPayee(), category)
	}
	return nil
}
