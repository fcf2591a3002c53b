#!/usr/bin/perl
# HTTP on port 8080, as much as the tests need. It listens START_DELAY seconds after its start, and can serve READY_DELAY seconds later;
# until then it answers 500. With --check it says whether it can.
use strict;
use warnings;
use IO::Socket::INET;

my $ready = '/run/ready';
exit(-e $ready ? 0 : 1) if @ARGV;
$SIG{TERM} = sub { exit 0 };
$SIG{CHLD} = 'IGNORE';
unlink $ready;
if ($ENV{START_DELAY}) {
    print STDERR "waiting $ENV{START_DELAY} s\n";
    sleep $ENV{START_DELAY};
}
is_ready() unless $ENV{READY_DELAY};
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 128, ReuseAddr => 1) or die "cannot listen: $!";
print STDERR "listening\n";
if ($ENV{READY_DELAY} && !fork) {
    sleep $ENV{READY_DELAY};
    is_ready();
    sleep 1 while 1;
}
while (1) {
    my $client = $server->accept or next;
    next if fork;
    $client->autoflush(1);
    serve($client) while 1;
}

sub is_ready {
    open my $file, '>', $ready or die "cannot write $ready: $!";
}

sub answer {
    my ($client, $status, $body) = @_;
    print $client "HTTP/1.1 $status\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
}

sub serve {
    my ($client) = @_;
    my $head = '';
    while (my $line = <$client>) {
        last if $line eq "\r\n";
        $head .= $line;
    }
    exit 0 if $head eq '';
    my ($path) = $head =~ /^\S+ (\S+)/;
    my $length = $head =~ /^content-length: (\d+)/mi ? $1 : 0;
    my $body = '';
    read $client, $body, $length if $length;
    if ($path eq '/ready' || !-e $ready) {
        return answer($client, -e $ready ? '200 OK' : '500 Too Early', '');
    }
    if ($head =~ /^upgrade: (\S+)/mi) {
        print $client "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: $1\r\n\r\n";
        while (sysread $client, my $bytes, 4096) { print $client $bytes; }
        exit 0;
    }
    if ($path eq '/events') {
        print $client "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
        for my $event (1 .. 3) { print $client "data: $event\n\n"; select undef, undef, undef, 0.2; }
        exit 0;
    }
    if ($path eq '/hang') { <$client>; exit 0; }
    return answer($client, '200 OK', $path =~ m{^/head} ? $head : "$ENV{HOSTNAME} got $length bytes");
}
