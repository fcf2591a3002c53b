#!/usr/bin/perl
# Answers each line on port 8000 with "HOSTNAME: LINE" after START_DELAY seconds. Ends STOP_DELAY seconds after SIGTERM, and with 3 after
# DIES_AFTER seconds. SIGUSR1 makes it take memory until there is none. A process of it works for
# the first WORKS seconds. With HEARS, it prints the datagrams that come to port 53. Listens on LISTEN_ON alone, where that is given. TOGETHER: all connections in one process, for very many.
use strict;
use warnings;
use IO::Socket::INET;

$SIG{TERM} = sub { sleep $ENV{STOP_DELAY} if $ENV{STOP_DELAY}; exit 0 };
$SIG{USR1} = sub { my @held; push @held, 'x' x 1e7 while 1 };
$SIG{CHLD} = 'IGNORE';
sleep $ENV{START_DELAY} if $ENV{START_DELAY};
if ($ENV{WORKS} && !fork) {
    $SIG{ALRM} = 'DEFAULT';
    alarm $ENV{WORKS};
    1 while 1;
}
if ($ENV{HEARS} && !fork) {
    $| = 1;
    my $heard = IO::Socket::INET->new(Proto => 'udp', LocalPort => 53) or die "cannot hear: $!";
    print "heard $_\n" while $heard->recv($_, 512);
    exit 1;
}
if ($ENV{DIES_AFTER}) {
    $SIG{ALRM} = sub { exit 3 };
    alarm $ENV{DIES_AFTER};
}
my $server = IO::Socket::INET->new(LocalAddr => $ENV{LISTEN_ON} || '0.0.0.0', LocalPort => 8000, Listen => 4096, ReuseAddr => 1) or die "cannot listen: $!";
together() if $ENV{TOGETHER};
while (1) {
    my $client = $server->accept or next;
    next if fork;
    $client->autoflush(1);
    while (my $line = <$client>) {
        print $client "$ENV{HOSTNAME}: $line";
    }
    exit 0;
}

# Each line comes in one piece.
sub together {
    my ($watched, %open) = ('');
    vec($watched, fileno $server, 1) = 1;
    $server->blocking(0);
    while (1) {
        my $count = select my $ready = $watched, undef, undef, undef;
        if ($count > 0 && vec $ready, fileno $server, 1) {
            $count--;
            while (my $client = $server->accept) {
                $open{fileno $client} = $client;
                vec($watched, fileno $client, 1) = 1;
            }
        }
        next if $count <= 0;
        for my $number (grep { vec $ready, $_, 1 } keys %open) {
            if (sysread $open{$number}, my $line, 4096) {
                syswrite $open{$number}, "$ENV{HOSTNAME}: $line";
            } else {
                vec($watched, $number, 1) = 0;
                delete $open{$number};
            }
        }
    }
}
