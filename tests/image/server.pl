#!/usr/bin/perl
# Answers each line on port 8000 with "HOSTNAME: LINE" after START_DELAY seconds. Ends at once on SIGTERM, and with 3 after DIES_AFTER
# seconds. Listens on LISTEN_ON alone, where that is given.
use strict;
use warnings;
use IO::Socket::INET;

$SIG{TERM} = sub { exit 0 };
$SIG{CHLD} = 'IGNORE';
sleep $ENV{START_DELAY} if $ENV{START_DELAY};
if ($ENV{DIES_AFTER}) {
    $SIG{ALRM} = sub { exit 3 };
    alarm $ENV{DIES_AFTER};
}
my $server = IO::Socket::INET->new(LocalAddr => $ENV{LISTEN_ON} || '0.0.0.0', LocalPort => 8000, Listen => 128, ReuseAddr => 1) or die "cannot listen: $!";
while (1) {
    my $client = $server->accept or next;
    next if fork;
    $client->autoflush(1);
    while (my $line = <$client>) {
        print $client "$ENV{HOSTNAME}: $line";
    }
    exit 0;
}
