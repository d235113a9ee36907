<?php
// WordPress without a web server, of the site whose folder is the first argument. The second argument is code to run in it.
$_SERVER += array( 'HTTP_HOST' => '127.0.0.1', 'REQUEST_METHOD' => 'GET', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REQUEST_URI' => '/' );
require $argv[1] . '/wp-load.php';
if ( isset( $argv[2] ) ) {
	eval( $argv[2] );
}
