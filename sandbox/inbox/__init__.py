"""The other end of mails and SMS: it takes them and shows what came."""
