# Owns one server and its folder on behalf of the process that holds the other end of stdin.
# When that process is gone, in whatever way, stdin ends: then the server and the folder go too.
#
# Arguments: the folder's mktemp template, the signal that ends the server at the end of stdin.
# Orders on stdin, one a line, each answered by one line: start, status, stop SIGNAL.

folder=$(mktemp -d "$1") && cd "$folder" || exit 1
last_signal=$2
server=
# Marks all processes of the server, those that leave its process group too.
export SERVER_FOLDER="$folder"
# The reader of the answers may be gone already.
trap '' PIPE

server_is_alive() {
    # Running a command makes the shell reap its ended children, which would look alive still.
    sleep "$1"
    [ -n "$server" ] && kill -s 0 "$server" 2>/dev/null
}

signal_group() {
    kill -s "$1" -- "-$server" 2>/dev/null
}

start_server() {
    # A shell starts its background processes deaf to INT and QUIT; PIPE is ignored above.
    env --default-signal=INT,QUIT,PIPE setsid sh ./run </dev/null >>server.log 2>&1 &
    server=$!
    # There is no process group before setsid has made it.
    while server_is_alive 0.01 && ! signal_group 0; do :; done
}

end_server() {
    [ -n "$server" ] || return
    # The server ends its helper processes in good order, which a signal to all would upset.
    kill -s "$1" "$server" 2>/dev/null
    rounds=0
    while server_is_alive 0.02 && [ "$rounds" -lt 500 ]; do
        rounds=$((rounds + 1))
    done
    signal_group KILL
    while server_is_alive 0.02 && [ "$rounds" -lt 600 ]; do
        rounds=$((rounds + 1))
    done
    server=
}

echo "$folder"
while read -r order signal; do
    case $order in
    start)
        start_server
        echo started
        ;;
    status)
        if server_is_alive 0; then echo running; else echo ended; fi
        ;;
    stop)
        end_server "$signal"
        echo stopped
        ;;
    esac
done 2>/dev/null

end_server "$last_signal"
cd /
# A helper process of the server may still be writing its last file.
rounds=0
until rm -rf "$folder" 2>/dev/null || [ "$rounds" -ge 50 ]; do
    rounds=$((rounds + 1))
    sleep 0.1
done
